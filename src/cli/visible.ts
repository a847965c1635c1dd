/** Escaping of untrusted text for terminals, where control characters could move the cursor or write the clipboard. */

/** C0 except tab, DEL, C1, line separators, and characters that hide text or change its direction. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it matches control characters on purpose
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Escapes characters that a terminal could interpret, as `\u001b`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** Formats a value as one line of JSON, without characters that a terminal could interpret. */
export function jsonOf(value: unknown): string {
  return visible(JSON.stringify(value));
}
