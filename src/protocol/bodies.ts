/** Messages that are announced without a connection, one per line. */
import { channelFault } from "./channels.ts";
import type { Fault } from "./errors.ts";
import { keyFault, mayBeKnownAgain } from "./keys.ts";
import { keyedTooLong, lineTooLong } from "./refusals.ts";
import { formatMessage } from "./replies.ts";
import { isLongerThan } from "./text.ts";

/** Messages of one channel, as the lines that its subscribers get. */
export interface Messages {
  lines: string;
  count: number;
}

export interface BodyLimits {
  maxLineBytes: number;
  /** The most messages that are announced together. */
  linesPerSecond: number;
  /** Characters of one channel that are retained. */
  historyBytes: number;
}

/**
 * Splits a body into messages; lines end in "\n" or "\r\n".
 * @param most lines that the body may have: of those after them at most two are returned
 */
export function linesOfBody(body: string, most: number): string[] {
  const lines = body.split(/\r?\n/, most + 2);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Parses messages that are announced together, all or none.
 * @param key of the announcement, if it has one
 */
export function parseMessages(
  channel: string,
  messages: string[],
  key: string | undefined,
  { maxLineBytes, linesPerSecond, historyBytes }: BodyLimits,
): Messages | Fault {
  const bad = channelFault(channel) ?? (key === undefined ? undefined : keyFault(key));
  if (bad !== undefined) return { code: "invalid", why: bad };
  if (messages.length === 0) return { code: "invalid", why: "a message is missing" };
  if (messages.length > linesPerSecond) {
    return { code: "limit", why: `at most ${linesPerSecond} messages are announced together` };
  }
  const fault = firstFault(messages, maxLineBytes);
  if (fault) return fault;
  const lines = messages.map((message) => formatMessage(channel, message)).join("");
  if (key !== undefined && !mayBeKnownAgain(key, lines, historyBytes)) {
    return { code: "limit", why: keyedTooLong(historyBytes) };
  }
  return { lines, count: messages.length };
}

function firstFault(messages: string[], maxLineBytes: number): Fault | undefined {
  for (const [i, message] of messages.entries()) {
    if (message === "") return { code: "invalid", why: `line ${i + 1} is empty, and a message isn't` };
    if (message.includes("\n")) return { code: "invalid", why: "a message is one line" };
    if (isLongerThan(message, maxLineBytes)) return { code: "limit", why: lineTooLong(maxLineBytes) };
  }
  return undefined;
}
