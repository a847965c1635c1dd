/** Idempotency keys of announcements. */
import { isLongerThan, utf8Length } from "./text.ts";

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 64;

/** Bytes of overhead for a retained key. */
const KEY_OVERHEAD = 16;

/** Returns the size of retained messages and their key, in bytes. */
export function sizeOfKeyed(key: string, lines: string): number {
  return utf8Length(lines) + utf8Length(key) + KEY_OVERHEAD;
}

/**
 * Whether a repetition of the announcement can be detected: the channel must be able to retain its whole text.
 * @param most bytes that one channel may retain
 */
export function canDeduplicate(key: string, lines: string, most: number): boolean {
  return sizeOfKeyed(key, lines) <= most;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters
const FORBIDDEN_IN_KEY = /[\u0000-\u0020\u007f-\u009f]/;

/** Returns why `key` is no valid key; undefined if it is valid. */
export function keyFault(key: string): string | undefined {
  if (key === "") return "a key is missing";
  if (isLongerThan(key, MAX_KEY_BYTES)) return `a key has at most ${MAX_KEY_BYTES} bytes`;
  if (FORBIDDEN_IN_KEY.test(key)) return "a key has no space or control character";
  return undefined;
}
