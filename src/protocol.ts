/**
 * The line protocol: what a client may say, and how the server answers. Pure functions on strings.
 * A line is UTF-8 and ends in "\n"; the functions here see it without that end.
 */

/** The channel every connection hears. */
export const EVERYONE = "all";

/** Not a channel: the name under which the server talks to one connection alone. */
export const DEBUG = "debug";

/** The greeting: sent once, when the connection is ready. */
export const GREETING = `${DEBUG}!connected...\n`;

/** Sent instead of the greeting to a connection that is one too many. */
export const BUSY = `${DEBUG}!busy\n`;

/** Longest channel name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

export type Command =
  | { kind: "ping" }
  | { kind: "info" }
  | { kind: "subscribe"; channel: string }
  | { kind: "unsubscribe"; channel: string }
  | { kind: "announce"; channel: string; message: string }
  | { kind: "token"; token: string }
  | { kind: "nothing" }
  | { kind: "refused"; why: string };

/** Bytes that `text` takes as UTF-8, without encoding it; a lone surrogate counts as U+FFFD does. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

/** True if `text` takes more than `limit` bytes as UTF-8; cheap for texts far from the limit. */
export function isLongerThan(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && utf8Length(text) > limit;
}

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
  if (name === DEBUG) return `'${DEBUG}' is the server's own voice, not a channel`;
  return nameFault(name);
}

/** Reads one line from a client. Never throws: what cannot be carried out comes back as `refused`. */
export function parseCommand(line: string): Command {
  if (line.startsWith("announce ")) return parseAnnounce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "nothing" };
  if (bare === "ping" || bare === "info") return { kind: bare };
  const [verb, word = ""] = bare.split(/ +/, 2);
  if (verb === "subscribe" || verb === "unsubscribe") return parseSubscription(verb, word);
  if (verb === "token") return word === "" ? refused("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return refused("announce takes a channel and a message");
  return refused(
    "unknown command; there are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, token <jwt>",
  );
}

function parseSubscription(kind: "subscribe" | "unsubscribe", channel: string): Command {
  const fault = kind === "subscribe" ? channelFault(channel) : nameFault(channel);
  return fault ? refused(`cannot ${kind}: ${fault}`) : { kind, channel };
}

function parseAnnounce(line: string): Command {
  const from = "announce ".length;
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return refused(`cannot announce: ${fault}`);
  const message = space < 0 ? "" : line.slice(space + 1);
  if (message === "") return refused("cannot announce: a message is missing after the channel");
  return { kind: "announce", channel, message };
}

/** A command that cannot be carried out, and why, for the client to read. */
export function refused(why: string): Command {
  return { kind: "refused", why };
}

/** The line that subscribers of `channel` read. */
export function formatMessage(channel: string, message: string): string {
  return `${channel}!${message}\n`;
}

/** The line that tells one connection what was wrong with a command of its own. */
export function formatError(why: string): string {
  return `${DEBUG}!error ${why}\n`;
}

/** The line that tells one connection that its token is good, and until when, in milliseconds. */
export function formatAccepted(until: number): string {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1000)}\n`;
}

/** The answer to `ping`: `now`, given in milliseconds, as whole Unix seconds. */
export function formatTime(now: number): string {
  return `${Math.floor(now / 1000)}\n`;
}
