/** Counts the messages that a client missed while disconnected, by comparing the server's history with its messages. */
import type { Message } from "../client/fanout.ts";
import { parseReply } from "../protocol/replies.ts";

/** The result: missed messages, and how many of these were delivered on resume, lost, or duplicated. */
export interface MissedCounts {
  missed: number;
  delivered: number;
  lost: number;
  duplicated: number;
}

/** A channel's retained messages after a position. */
export interface Retained {
  texts: string[];
  /** The newest message's position, even if that message has expired. */
  position: number;
}

/**
 * Fetches a channel's retained messages after a position.
 * @throws Error if the server refuses or retains nothing
 */
export async function fetchRetained(
  base: string,
  token: string | undefined,
  channel: string,
  since: number,
): Promise<Retained> {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/${encodeURIComponent(channel)}?poll&since=${since}`, { headers });
  const body = await response.text();
  const position = Number(response.headers.get("Fanout-Position"));
  if (!response.ok || position === 0) throw new Error(body.trim());
  const replies = body.split("\n").map(parseReply);
  return { texts: replies.flatMap((reply) => (reply.kind === "message" ? [reply.message] : [])), position };
}

/**
 * Compares the messages that a client received after a position with the retained ones.
 * @param announced the client's own announcements while disconnected, which it can't miss
 */
export function countMissed(
  since: number,
  retained: Retained,
  messages: Message[],
  announced: { text: string }[],
): MissedCounts {
  const expected = new Map<string, number>();
  for (const text of retained.texts) expected.set(text, (expected.get(text) ?? 0) + 1);
  const own = ownAmong(announced, expected);
  const counts = { missed: retained.position - since - own.length, delivered: 0, lost: 0, duplicated: 0 };
  for (const { text, position } of messages) {
    if (position === undefined || position > retained.position) continue;
    const left = expected.get(text) ?? 0;
    if (left > 0 && own.includes(text)) own.splice(own.indexOf(text), 1);
    else if (left > 0) counts.delivered += 1;
    else counts.duplicated += 1;
    expected.set(text, left - 1);
  }
  counts.lost = counts.missed - counts.delivered;
  return counts;
}

/** Returns the texts of the client's own announcements among the expected messages. */
function ownAmong(announced: { text: string }[], expected: Map<string, number>): string[] {
  const left = new Map(expected);
  return announced.flatMap(({ text }) => {
    const count = left.get(text) ?? 0;
    left.set(text, count - 1);
    return count > 0 ? [text] : [];
  });
}

export function sumOf(all: MissedCounts[]): MissedCounts {
  const sum = { missed: 0, delivered: 0, lost: 0, duplicated: 0 };
  for (const { missed, delivered, lost, duplicated } of all) {
    sum.missed += missed;
    sum.delivered += delivered;
    sum.lost += lost;
    sum.duplicated += duplicated;
  }
  return sum;
}

export function formatMissed({ missed, delivered, lost, duplicated }: MissedCounts): string {
  return `${missed} missed: ${delivered} delivered on resume, ${lost} lost, ${duplicated} duplicated`;
}
