/** Channel names. */
import { isLongerThan } from "./text.ts";

/** The channel to which every connection is subscribed. */
export const EVERYONE = "all";

/** A reserved name, not a channel: the server addresses a single connection under it. */
export const DEBUG = "debug";

/** Longest channel name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters
const FORBIDDEN_IN_NAME = /[\u0000-\u0020!\u007f-\u009f]/;

/** Returns why `name` is no valid channel name; undefined if it is valid. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "a channel name is missing";
  if (isLongerThan(name, MAX_NAME_BYTES)) return `a channel name has at most ${MAX_NAME_BYTES} bytes`;
  if (FORBIDDEN_IN_NAME.test(name)) return "a channel name has no '!', space or control character; use '-' instead";
  return undefined;
}

/** Like `nameFault`, but also rejects `debug`, which clients can neither subscribe to nor announce on. */
export function channelFault(name: string): string | undefined {
  if (name === DEBUG) return `'${DEBUG}' is reserved for the server; use another channel`;
  return nameFault(name);
}

/** Whether `channel` matches one of `patterns`: names, or prefixes followed by `*`. */
export function matchesAny(patterns: string[], channel: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern,
  );
}
