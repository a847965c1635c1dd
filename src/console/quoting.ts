/** Quotes text for source code, so that no text can end its quotes, and none looks like another when it is pasted. */

/** Control characters, lone surrogates, line separators, and characters that reorder or hide their neighbours. */
const INVISIBLE = /[\p{Cc}\p{Cs}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** Whether text can be pasted as it is: terminals act on control characters. */
export function isVisible(text: string): boolean {
  return text.search(INVISIBLE) < 0;
}

/** Quotes a word for a POSIX shell, if necessary. The word must be visible. */
export function shellQuoted(word: string): string {
  return /^[\w./:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Quotes text as the format of the shell's `printf`, with invisible characters as octal bytes. */
export function printfQuoted(text: string): string {
  const format = text.replaceAll("\\", "\\\\").replaceAll("%", "%%").replace(/^-/, "\\055").replace(INVISIBLE, octal);
  return `'${format.replaceAll("'", "'\\''")}'`;
}

/** Returns a string literal for JavaScript, also in a page's script, and for Python. */
export function literal(text: string): string {
  return JSON.stringify(text)
    .replace(INVISIBLE, unicode)
    .replace(/<(?=[!/s])/gi, unicode);
}

function octal(character: string): string {
  return [...new TextEncoder().encode(character)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

function unicode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
