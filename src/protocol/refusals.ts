/** Refusal sentences that several entry points share. */

export const NO_MESSAGE = "a message is missing after the channel";
export const NOT_GRANTED = "your token doesn't grant this channel";
export const NOT_OPERATOR = "your token lacks the claim 'operate'";
export const SERVICE_FULL = "the service has reached its connection limit; connect again later";
export const NO_HISTORY = "this channel retains no messages";
export const KEY_CONFLICT = "this key was used for another message on this channel";

/** @param most bytes that one channel may retain */
export function keyedTooLong(most: number): string {
  return `messages with a key have at most ${most} bytes in total, as the channel retains them to detect repeats`;
}

export function lineTooLong(maxBytes: number): string {
  return `a line has at most ${maxBytes} bytes`;
}

export function tooManyLines(perSecond: number): string {
  return `at most ${perSecond} lines per second are carried out; send this again later`;
}

export function tooManyChannels(most: number): string {
  return `a connection has at most ${most} channels`;
}
