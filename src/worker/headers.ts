/** Parsing of request headers that are lists of words with parameters, case-insensitive and optionally quoted. */

/** A word of a list, in lower case, with its parameters. */
interface Item {
  word: string;
  parameters: Map<string, string>;
}

/** Returns whether a client accepts a media type explicitly: wildcards don't count, and `q=0` refuses. */
export function accepts({ headers }: Request, type: string): boolean {
  return itemsOf(headers, "Accept").some((item) => item.word === type && weightOf(item) > 0);
}

/** Returns the first media type with the greatest weight in `Accept`. */
export function preferredType({ headers }: Request): string | undefined {
  const [first, ...others] = itemsOf(headers, "Accept");
  if (!first) return undefined;
  return others.reduce((best, item) => (weightOf(item) > weightOf(best) ? item : best), first).word;
}

/** Returns the words of a header that is a list of them, in lower case. */
export function wordsOf({ headers }: Request, header: string): string[] {
  return itemsOf(headers, header).map(({ word }) => word);
}

/** Returns the media type of a body and its `charset`, both in lower case. */
export function typeOf({ headers }: Request): { type: string; charset: string | undefined } {
  const [item] = itemsOf(headers, "Content-Type");
  return { type: item?.word ?? "", charset: item?.parameters.get("charset")?.toLowerCase() };
}

function weightOf({ parameters }: Item): number {
  const weight = Number(parameters.get("q") ?? 1);
  return Number.isNaN(weight) ? 0 : weight;
}

function itemsOf(headers: Headers, header: string): Item[] {
  const listed = split(headers.get(header) ?? "", ",").map((text) => text.trim());
  return listed.filter((text) => text !== "").map(parseItem);
}

function parseItem(text: string): Item {
  const [word = "", ...pairs] = split(text, ";");
  const parameters = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(0, at)).trim().toLowerCase();
    if (name !== "" && !parameters.has(name)) parameters.set(name, unquoted(pair.slice(at + 1).trim()));
  }
  return { word: word.trim().toLowerCase(), parameters };
}

/** The parts of a text between separators outside quoted strings. Never backtracks, because clients control the text. */
const PARTS = {
  ",": /((?:[^",]+|"(?:[^"\\]+|\\.?)*"?)*)(?:,|$)/gs,
  ";": /((?:[^";]+|"(?:[^"\\]+|\\.?)*"?)*)(?:;|$)/gs,
};

function split(text: string, separator: "," | ";"): string[] {
  if (!text.includes('"')) return text.split(separator);
  return Array.from(text.matchAll(PARTS[separator]), ([, part = ""]) => part);
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.replace(/^"|"$/g, "").replace(/\\(.)/g, "$1") : text;
}
