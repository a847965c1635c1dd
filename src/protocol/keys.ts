/** Keys by which an announcement that is made again is known. */
import { isLongerThan } from "./text.ts";

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 64;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN_IN_KEY = /[\u0000-\u0020\u007f-\u009f]/;

/** Says in one sentence what keeps `key` from being a key; undefined if nothing does. */
export function keyFault(key: string): string | undefined {
  if (key === "") return "a key is missing";
  if (isLongerThan(key, MAX_KEY_BYTES)) return `a key has at most ${MAX_KEY_BYTES} bytes`;
  if (FORBIDDEN_IN_KEY.test(key)) return "a key has no space or control character";
  return undefined;
}
