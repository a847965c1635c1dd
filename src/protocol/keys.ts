/** Keys by which an announcement that is made again is known. */
import { isLongerThan } from "./text.ts";

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 64;

/** Characters that a retained key takes besides its own. */
const KEY_OVERHEAD = 16;

/** Characters that messages, as lines, and their key take where they are retained. */
export function sizeOfKeyed(key: string, lines: string): number {
  return lines.length + key.length + KEY_OVERHEAD;
}

/**
 * Whether what is announced under a key is known again: by its whole text, which is to be retained for that.
 * @param most characters of one channel that are retained
 */
export function mayBeKnownAgain(key: string, lines: string, most: number): boolean {
  return sizeOfKeyed(key, lines) <= most;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN_IN_KEY = /[\u0000-\u0020\u007f-\u009f]/;

/** Says in one sentence what keeps `key` from being a key; undefined if nothing does. */
export function keyFault(key: string): string | undefined {
  if (key === "") return "a key is missing";
  if (isLongerThan(key, MAX_KEY_BYTES)) return `a key has at most ${MAX_KEY_BYTES} bytes`;
  if (FORBIDDEN_IN_KEY.test(key)) return "a key has no space or control character";
  return undefined;
}
