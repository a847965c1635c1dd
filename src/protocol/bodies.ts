/** Messages that come or go without a connection of their own: one a line. */
import { channelFault } from "./channels.ts";
import { type Invalid, invalid } from "./invalid.ts";
import { keyFault } from "./keys.ts";
import { lineTooLong, NO_MESSAGE } from "./refusals.ts";
import { formatMessage } from "./replies.ts";
import { isLongerThan } from "./text.ts";

/** Messages for one channel, as lines that its subscribers read. */
export interface Messages {
  lines: string;
  count: number;
}

/** The messages of a body; a line may end as on Windows. */
export function linesOfBody(body: string): string[] {
  const lines = body.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Reads messages that are to be announced together.
 * @param key under which they are announced once
 */
export function parseMessages(
  channel: string,
  messages: string[],
  key: string | undefined,
  { maxLineBytes, linesPerSecond }: { maxLineBytes: number; linesPerSecond: number },
): Messages | Invalid {
  const what = key === undefined ? "announce" : "announce once";
  const fault =
    channelFault(channel) ??
    (key === undefined ? undefined : keyFault(key)) ??
    (messages.length === 0 ? NO_MESSAGE : undefined) ??
    (messages.length > linesPerSecond ? `at most ${linesPerSecond} messages go together` : undefined) ??
    firstFault(messages, maxLineBytes);
  if (fault) return invalid(`cannot ${what}: ${fault}`);
  return {
    lines: messages.map((message) => formatMessage(channel, message)).join(""),
    count: messages.length,
  };
}

function firstFault(messages: string[], maxLineBytes: number): string | undefined {
  for (const [i, message] of messages.entries()) {
    if (message === "") return `line ${i + 1} is empty, and a message is not`;
    if (message.includes("\n")) return "a message is one line";
    if (isLongerThan(message, maxLineBytes)) return lineTooLong(maxLineBytes);
  }
  return undefined;
}
