/** What an object holds at most: the operator's settings, read from the Worker's variables. */

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
  /** Lines of one connection that are carried out in a second, and in one burst; as many more get an error. */
  linesPerSecond: number;
  /** Connections that the whole service has at most; 0 means that they are not counted. */
  clientLimit: number;
}

/** A quarter of an object's 128 MB. */
const MOST_WAITING = 32_000_000;

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
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 10_000, 1, 1_000_000),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1_000_000_000),
  };
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
