/** Names of channels. */
import { isLongerThan } from "./text.ts";

/** The channel every connection hears. */
export const EVERYONE = "all";

/** Not a channel: the name under which the server talks to one connection alone. */
export const DEBUG = "debug";

/** Longest channel name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN_IN_NAME = /[\u0000-\u0020!\u007f-\u009f]/;

/** Says in one sentence what keeps `name` from being a channel's name; undefined if nothing does. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "a channel name is missing";
  if (isLongerThan(name, MAX_NAME_BYTES)) return `a channel name has at most ${MAX_NAME_BYTES} bytes`;
  if (FORBIDDEN_IN_NAME.test(name)) return "a channel name has no '!', space or control character";
  return undefined;
}

/** The same for a channel that is to be subscribed to or announced on, which `debug` cannot be. */
export function channelFault(name: string): string | undefined {
  if (name === DEBUG) return `'${DEBUG}' is reserved for the server; use another channel`;
  return nameFault(name);
}

/** Whether `channel` is among `patterns`: names, and beginnings of names that end in `*`. */
export function isAmong(patterns: string[], channel: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern,
  );
}
