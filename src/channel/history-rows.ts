/** What storage has of a root's history, under `history:<slot>`. */
import { skipLines } from "../protocol/frames.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";

export const SEGMENT = "history:";

/**
 * Messages that were stored in the same row, a batch at a time; the oldest come first. A row without messages tells the
 * newest position, and has one empty batch.
 */
export interface SegmentRow {
  /** The position of the message before the first one. */
  after: number;
  /** How many messages each batch has. */
  counts: number[];
  /** When each batch was stored, in milliseconds since 1970. */
  times: number[];
  lines: string;
  /** Keys of announcements, the position of the last message of each, and how many they are. */
  keys: [key: string, last: number, count: number][];
}

export function isSegmentRow(row: unknown): row is SegmentRow {
  if (!isRecord(row) || !isNumber(row.after) || typeof row.lines !== "string") return false;
  const { counts, times, keys } = row;
  if (!isNumbers(counts) || !isNumbers(times) || counts.length !== times.length || times.length === 0)
    return false;
  return Array.isArray(keys) && keys.every(isKey);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isNumber);
}

function isKey(value: unknown): value is [string, number, number] {
  return Array.isArray(value) && typeof value[0] === "string" && isNumber(value[1]) && isNumber(value[2]);
}

/** Messages as they were announced: those with a key together, and apart from others. */
export interface Piece {
  count: number;
  lines: string;
  key: string | undefined;
}

/** Returns the pieces of each batch of a row, the oldest batch first. */
export function piecesOf({ after, counts, lines, keys }: SegmentRow): Piece[][] {
  const keyed = keys.map(([key, last, count]) => ({ key, after: last - count, last }));
  let position = after;
  let from = 0;
  let next = 0;
  const take = (to: number, key?: string): Piece => {
    const end = skipLines(lines, to - position, from);
    const piece = { count: to - position, lines: lines.slice(from, end), key };
    position = to;
    from = end;
    return piece;
  };
  return counts.map((count) => {
    const end = position + count;
    const pieces: Piece[] = [];
    for (let one = keyed[next]; one && one.last <= end; one = keyed[++next]) {
      if (one.after > position) pieces.push(take(one.after));
      pieces.push(take(one.last, one.key));
    }
    if (end > position) pieces.push(take(end));
    return pieces;
  });
}
