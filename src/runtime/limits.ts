/** What an object holds at most: the operator's settings, read from the Worker's variables. */
import { channelFault, matchesAny, nameFault } from "../protocol/channels.ts";

export interface Limits {
  /** Connections one object holds before a channel's next ones go to a child. */
  socketsPerObject: number;
  /** Links one object feeds before the next ones go to a child; also the most children of an object. */
  linksPerObject: number;
  /** Longest line a client may send, in bytes, its end not counted. */
  maxLineBytes: number;
  /** Channels one connection may be subscribed to, `all` included. */
  maxChannelsPerConnection: number;
  /** Bytes that may wait for one connection or one link, in either direction; also of one frame. */
  maxBufferedBytes: number;
  /** Bytes that may wait for all connections together; not a setting, as it is what memory there is for that. */
  mostWaiting: number;
  /** Work for clients that is done before others can come in, in microseconds or so; not a setting either. */
  maxWork: number;
  /** Lines of one connection that are carried out in a second, and in one burst; as many more get an error. */
  linesPerSecond: number;
  /** Connections that the whole service has at most; 0 means that they are not counted. */
  clientLimit: number;
  /** How long a message is kept for who comes later, in seconds; 0 keeps none. */
  historySeconds: number;
  /** Characters of messages and keys that are kept of one channel. */
  historyBytes: number;
  /** Channels of which messages are kept: names, and beginnings of names that end in `*`. */
  historyChannels: string[];
}

/**
 * Of messages, and of keys besides: together one row, which has 2 MB at most, and two bytes for a character, see
 * https://developers.cloudflare.com/durable-objects/platform/limits/.
 */
const MOST_HISTORY = 500_000;

/** A quarter of an object's 128 MB. */
const MOST_WAITING = 32_000_000;

/** As long as a few hundred sends take. */
const MOST_WORK = 10_000;

export type Variables = Readonly<Record<string, unknown>>;

/** A setting that cannot be used; the message names it and says what would do. */
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
    mostWaiting: MOST_WAITING,
    maxWork: MOST_WORK,
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 10_000, 1, 1_000_000),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1_000_000_000),
    historySeconds: wholeNumber(variables, "HISTORY_SECONDS", 120, 0, 86_400),
    historyBytes: wholeNumber(variables, "HISTORY_BYTES", 262_144, 1, MOST_HISTORY),
    historyChannels: channels(variables, "HISTORY_CHANNELS", "*"),
  };
}

/** Whether messages of `channel` are kept. */
export function keepsHistory({ historySeconds, historyChannels }: Limits, channel: string): boolean {
  return historySeconds > 0 && matchesAny(historyChannels, channel);
}

/**
 * A variable that is text; undefined if it is not set, or empty.
 * @throws SettingError if it is something else
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
      `${name} must be names of channels, or beginnings of them that end in '*', separated by spaces or commas, not '${pattern}'`,
    );
  });
}

/** Whether `text` can be a channel's name, or the beginning of one before a `*`. */
function isPattern(text: string): boolean {
  if (text === "*") return true;
  return (text.endsWith("*") ? nameFault(text.slice(0, -1)) : channelFault(text)) === undefined;
}

function wholeNumber(
  variables: Variables,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const value = variables[name];
  if (value === undefined || value === "") return fallback;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new SettingError(`${name} must be a whole number from ${least} to ${most}, not '${String(value)}'`);
}
