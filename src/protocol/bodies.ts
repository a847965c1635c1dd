/** Parses the bodies of HTTP announcements: messages, one per line. */
import { channelFault } from "./channels.ts";
import type { Fault } from "./errors.ts";
import { canDeduplicate, keyFault } from "./keys.ts";
import { keyedTooLong, lineTooLong } from "./refusals.ts";
import { formatMessage } from "./replies.ts";
import { isLongerThan } from "./text.ts";

/** Messages of one channel, as the lines that its subscribers receive. */
export interface Messages {
  lines: string;
  count: number;
}

export interface BodyLimits {
  maxLineBytes: number;
  /** Most messages in one request. */
  linesPerSecond: number;
  /** Characters that one channel may retain. */
  historyBytes: number;
}

/**
 * Splits a body into messages; lines end in "\n" or "\r\n".
 * @param most lines that are allowed; the result has at most two more, to show that there are too many
 */
export function linesOfBody(body: string, most: number): string[] {
  const lines = body.split(/\r?\n/, most + 2);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Parses messages that are announced atomically: one fault refuses all of them.
 * @param key the idempotency key, if any
 */
export function parseMessages(
  channel: string,
  messages: string[],
  key: string | undefined,
  { maxLineBytes, linesPerSecond, historyBytes }: BodyLimits,
): Messages | Fault {
  const bad = channelFault(channel) ?? (key === undefined ? undefined : keyFault(key));
  if (bad !== undefined) return { code: "invalid", why: bad };
  if (messages.length === 0) return { code: "invalid", why: "a message is missing; send one per line" };
  if (messages.length > linesPerSecond) {
    return { code: "limit", why: `a request announces at most ${linesPerSecond} messages` };
  }
  const fault = firstFault(messages, maxLineBytes);
  if (fault) return fault;
  const lines = messages.map((message) => formatMessage(channel, message)).join("");
  if (key !== undefined && !canDeduplicate(key, lines, historyBytes)) {
    return { code: "limit", why: keyedTooLong(historyBytes) };
  }
  return { lines, count: messages.length };
}

function firstFault(messages: string[], maxLineBytes: number): Fault | undefined {
  for (const [i, message] of messages.entries()) {
    if (message === "") return { code: "invalid", why: `line ${i + 1} is empty; a message has at least one character` };
    if (message.includes("\n"))
      return { code: "invalid", why: "a message is one line; send several lines as JSON, or as several messages" };
    if (isLongerThan(message, maxLineBytes)) return { code: "limit", why: lineTooLong(maxLineBytes) };
  }
  return undefined;
}
