/** Positions in a channel's order, and the starting points of subscriptions. */
import { type Invalid, invalid } from "./invalid.ts";

/** A subscription's start: after a position, after the newest message, or with the newest `last` messages. */
export type From = { since: number | "now" } | { last: number };

const MOST = Number.MAX_SAFE_INTEGER;

/** Parses a position: decimal digits of a safe integer. */
export function parsePosition(word: string): number | undefined {
  const position = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  return Number.isSafeInteger(position) ? position : undefined;
}

/** Parses the two words of a start; returns undefined if the first is neither `since` nor `last`. */
export function parseFromWords(how: string, word: string): From | Invalid | undefined {
  if (how === "since") return parseSince(word);
  if (how === "last") return parseLast(word);
  return undefined;
}

/** Parses a start from URL parameters; null stands for a missing one. */
export function parseFrom(since: string | null, last: string | null): From | Invalid | undefined {
  if (since !== null && last !== null) return invalid("only one of 'since' and 'last' may be given");
  if (since !== null) return parseFromWords("since", since);
  return last === null ? undefined : parseFromWords("last", last);
}

/** Formats a start; the inverse of `parseFromWords`. */
export function formatFrom(from: From): string {
  return "since" in from ? `since ${from.since}` : `last ${from.last}`;
}

function parseSince(word: string): From | Invalid {
  const since = word === "now" ? word : parsePosition(word);
  if (since !== undefined) return { since };
  return invalid(`'since' takes a position, a whole number from 0 to ${MOST}, or 'now'`);
}

function parseLast(word: string): From | Invalid {
  const last = parsePosition(word);
  if (last !== undefined && last > 0) return { last };
  return invalid(`'last' takes a number of messages, a whole number from 1 to ${MOST}`);
}
