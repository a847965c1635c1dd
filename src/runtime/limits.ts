/** The limits of an object, read from the Worker's variables. */
import { channelFault, matchesAny, nameFault } from "../protocol/channels.ts";
import { subjectOf } from "../protocol/members.ts";

export interface Limits {
  /** Most connections of an object; further ones go to its children. */
  socketsPerObject: number;
  /** Most links from an object; further ones go to its children. Also the most children of an object. */
  linksPerObject: number;
  /** Longest line from a client, in bytes, without its line end. */
  maxLineBytes: number;
  /** Most channels per connection, including `all`. */
  maxChannelsPerConnection: number;
  /** Most pending bytes per connection or link, in either direction. Also the largest frame. */
  maxBufferedBytes: number;
  /** Most pending bytes of all connections together. This is no setting, because it depends on the memory of an object. */
  maxPendingBytes: number;
  /** Most work for clients between two pauses, in microseconds or so. This is no setting either. */
  maxWork: number;
  /** Lines executed per second and connection, and in one burst; as many more get an error. */
  linesPerSecond: number;
  /** Most connections of the whole service; 0 for no limit. */
  clientLimit: number;
  /** How long messages are retained, in seconds; 0 turns history off. */
  historySeconds: number;
  /** Most bytes of retained messages and keys per channel, as UTF-8. */
  historyBytes: number;
  /** Channels with history: names, or prefixes followed by `*`. */
  historyChannels: string[];
  /** How long a member without connections stays, in seconds. */
  presenceGraceSeconds: number;
  /** Most members of a channel. */
  membersPerChannel: number;
}

/**
 * Most bytes of retained messages and keys, as UTF-8. They share one row, which may have 2 MB, and a row takes up to two
 * bytes for one of ASCII; see https://developers.cloudflare.com/durable-objects/platform/limits/.
 */
const MOST_HISTORY = 500_000;

/** Most members of a channel: a list of so many, with the longest names, is one reply to `members`. */
const MOST_MEMBERS = 5_000;

/** A quarter of an object's 128 MB. */
const MAX_PENDING_BYTES = 32_000_000;

/** The time of a few hundred sends. */
const MAX_WORK = 10_000;

export type Variables = Readonly<Record<string, unknown>>;

/** An invalid setting. The message names the variable and its valid values. */
export class SettingError extends Error {}

/**
 * Reads the limits.
 * @throws SettingError naming the first variable that is out of range
 */
export function readLimits(variables: Variables): Limits {
  return {
    socketsPerObject: wholeNumber(variables, "SOCKETS_PER_OBJECT", 10_000, 1, 32_768),
    linksPerObject: wholeNumber(variables, "LINKS_PER_OBJECT", 100, 1, 1_000),
    maxLineBytes: wholeNumber(variables, "MAX_LINE_BYTES", 65_536, 300, 1_000_000),
    maxChannelsPerConnection: wholeNumber(variables, "MAX_CHANNELS_PER_CONNECTION", 256, 2, 4_000),
    maxBufferedBytes: wholeNumber(variables, "MAX_BUFFERED_BYTES", 4_194_304, 1_000_000, 32_000_000),
    maxPendingBytes: MAX_PENDING_BYTES,
    maxWork: MAX_WORK,
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 10_000, 1, 1_000_000),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1_000_000_000),
    historySeconds: wholeNumber(variables, "HISTORY_SECONDS", 120, 0, 86_400),
    historyBytes: wholeNumber(variables, "HISTORY_BYTES", 262_144, 1, MOST_HISTORY),
    historyChannels: channels(variables, "HISTORY_CHANNELS", "*"),
    presenceGraceSeconds: wholeNumber(variables, "PRESENCE_GRACE_SECONDS", 15, 0, 3_600),
    membersPerChannel: wholeNumber(variables, "MEMBERS_PER_CHANNEL", 1_000, 0, MOST_MEMBERS),
  };
}

/** Whether messages of `channel` are retained. Presence channels always are, because lists of members name positions. */
export function hasHistory({ historySeconds, historyChannels }: Limits, channel: string): boolean {
  return historySeconds > 0 && (subjectOf(channel) !== undefined || matchesAny(historyChannels, channel));
}

/**
 * Returns a text variable; undefined if it is unset or empty.
 * @throws SettingError if it is not text
 */
export function text(variables: Variables, name: string): string | undefined {
  const value = variables[name];
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  throw new SettingError(`${name} must be text`);
}

function channels(variables: Variables, name: string, fallback: string): string[] {
  return (text(variables, name) ?? fallback).split(/[\s,]+/).map((pattern) => {
    if (isPattern(pattern)) return pattern;
    throw new SettingError(
      `${name} must be channel names or prefixes followed by '*', separated by spaces or commas, not '${pattern}'`,
    );
  });
}

/** Whether `text` is a channel name, or a prefix of one followed by `*`. */
function isPattern(text: string): boolean {
  if (text === "*") return true;
  return (text.endsWith("*") ? nameFault(text.slice(0, -1)) : channelFault(text)) === undefined;
}

/**
 * Returns a variable that is a whole number, or `fallback` if it is unset or empty.
 * @throws SettingError if it isn't a whole number from `least` to `most`
 */
export function wholeNumber(variables: Variables, name: string, fallback: number, least: number, most: number): number {
  const value = variables[name];
  if (value === undefined || value === "") return fallback;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new SettingError(`${name} must be a whole number from ${least} to ${most}, not '${String(value)}'`);
}
