/** The rows of a root's history, stored under `history:<slot>`. */
import { skipLines } from "../protocol/frames.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";

export const SEGMENT = "history:";

/**
 * Messages in one row, oldest first. They were stored in batches. A row without messages records the newest position,
 * and has one empty batch.
 */
export interface SegmentRow {
  /** The position of the message before the first one. */
  after: number;
  /** The number of messages in each batch. */
  counts: number[];
  /** When each batch was stored, in milliseconds since 1970. */
  times: number[];
  lines: string;
  /** For each announcement with a key: the key, the position of its last message, and its number of messages. */
  keys: [key: string, last: number, count: number][];
}

export function isSegmentRow(row: unknown): row is SegmentRow {
  if (!isRecord(row) || !isNumber(row.after) || typeof row.lines !== "string") return false;
  const { counts, times, keys } = row;
  if (!isNumbers(counts) || !isNumbers(times) || counts.length !== times.length || times.length === 0) return false;
  return Array.isArray(keys) && keys.every(isKey);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isNumber);
}

function isKey(value: unknown): value is [string, number, number] {
  return Array.isArray(value) && typeof value[0] === "string" && isNumber(value[1]) && isNumber(value[2]);
}

/** The messages of one announcement with a key, or of any number of announcements without. */
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
  const pieceUpTo = (to: number, key?: string): Piece => {
    const end = skipLines(lines, to - position, from);
    const piece = { count: to - position, lines: lines.slice(from, end), key };
    position = to;
    from = end;
    return piece;
  };
  return counts.map((count) => {
    const end = position + count;
    const pieces: Piece[] = [];
    for (let piece = keyed[next]; piece && piece.last <= end; piece = keyed[++next]) {
      if (piece.after > position) pieces.push(pieceUpTo(piece.after));
      pieces.push(pieceUpTo(piece.last, piece.key));
    }
    if (end > position) pieces.push(pieceUpTo(end));
    return pieces;
  });
}
