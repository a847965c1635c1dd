/** Positions in a channel's order, and from which one on a client wants to hear a channel. */
import { type Invalid, invalid } from "./invalid.ts";

/** After a position, or after all there is; or with the newest so many messages first. */
export type From = { since: number | "now" } | { last: number };

const MOST = Number.MAX_SAFE_INTEGER;

/** Reads a position: digits, of what a number can hold exactly. */
export function parsePosition(word: string): number | undefined {
  const position = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  return Number.isSafeInteger(position) ? position : undefined;
}

/** Reads the two words that say from where on; undefined if the first one says nothing of that. */
export function parseFromWords(how: string, word: string): From | Invalid | undefined {
  if (how === "since") return parseSince(word);
  if (how === "last") return parseLast(word);
  return undefined;
}

/** The same of an address, where each word has a name; null if it is not there. */
export function parseFrom(since: string | null, last: string | null): From | Invalid | undefined {
  if (since !== null && last !== null) return invalid("only one of 'since' and 'last' may be given");
  if (since !== null) return parseFromWords("since", since);
  return last === null ? undefined : parseFromWords("last", last);
}

/** The two words that `parseFromWords` reads as `from`. */
export function formatFrom(from: From): string {
  return "since" in from ? `since ${from.since}` : `last ${from.last}`;
}

function parseSince(word: string): From | Invalid {
  const since = word === "now" ? word : parsePosition(word);
  if (since !== undefined) return { since };
  return invalid(`'since' takes a position, a whole number from 0 to ${MOST}, or 'now'`);
}

function parseLast(word: string): From | Invalid {
  const last = parsePosition(word);
  if (last !== undefined && last > 0) return { last };
  return invalid(`'last' takes how many messages, a whole number from 1 to ${MOST}`);
}
