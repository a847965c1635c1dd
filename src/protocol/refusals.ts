/** Refusal sentences that several entry points share. */
import { EVERYONE } from "./channels.ts";

export const NO_MESSAGE = "a message is missing after the channel";
export const NOT_OPERATOR = "your token lacks the claim 'operate'";
export const SERVICE_FULL = "the service has reached its connection limit; connect again later";
export const NO_HISTORY = "this channel retains no messages";
export const KEY_CONFLICT = "this key was used for another message on this channel";

export const SERVER_ANNOUNCES = "only the server announces on presence channels; enter and leave over a WebSocket";
export const NO_PRESENCE = "presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)";
export const CONNECTIONS_ENTER = "members need a connection; enter over a WebSocket";

/** @param claim the token's claim that lists the channels of such commands */
export function notGranted(claim: "subscribe" | "announce" | "enter", channel: string): string {
  const it = channel === EVERYONE ? `'${EVERYONE}' by name, because '*' doesn't include it` : "it";
  return `your token doesn't grant this channel; its claim '${claim}' has to list ${it}`;
}

/** @param most bytes that one channel may retain */
export function keyedTooLong(most: number): string {
  return `messages with a key have at most ${most} bytes in total, as the channel retains them to detect repeats`;
}

export function lineTooLong(maxBytes: number): string {
  return `a line has at most ${maxBytes} bytes; split the message, or raise MAX_LINE_BYTES`;
}

export function tooManyLines(perSecond: number): string {
  return `at most ${perSecond} lines per second are carried out; send this again later`;
}

/** @param sub the token's subject */
export function notSubject(sub: string): string {
  return `your token's claim 'sub' is '${sub}', so you can enter only as that`;
}

/** @param most members of one channel */
export function tooManyMembers(most: number): string {
  return `a channel has at most ${most} members`;
}

export function tooManyChannels(most: number): string {
  return `a connection has at most ${most} channels`;
}
