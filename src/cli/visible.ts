/** Text of others for terminals, and as JSON: control characters could move the cursor, or write the clipboard. */

/** C0 but the tab, DEL, C1, line separators, and characters that change the direction or hide text. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Escapes characters that a terminal could obey, as `\u001b`; other text stays as it is. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** Formats a value as JSON of one line, without characters that a terminal could obey. */
export function jsonOf(value: unknown): string {
  return visible(JSON.stringify(value));
}
