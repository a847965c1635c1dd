/** Why something is refused, in words that are the same on every way in. Each is the end or the middle of a sentence. */

export const NO_MESSAGE = "a message is missing after the channel";
export const NOT_ALLOWED = "your token does not allow this channel";
export const SERVICE_FULL = "the service has as many connections as it may; try again later";

export function noHistory(channel: string): string {
  return `no history is kept on ${channel}`;
}

export function lineTooLong(maxBytes: number): string {
  return `a line has at most ${maxBytes} bytes`;
}

export function tooManyLines(perSecond: number): string {
  return `more than ${perSecond} lines a second`;
}

/** Whether what was refused may be granted when it is asked for again, a little later. */
export function isTemporary(why: string): boolean {
  return /try again|may be lost|lines a second|in a second/.test(why);
}

/** A refusal as a sentence of its own, for who reads more than one line of a protocol. */
export function sentenceOf(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
}
