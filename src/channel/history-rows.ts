/** The rows of a root's history, stored under `history:<slot>`. */
import { skipLines } from "../protocol/frames.ts";
import { type Checked, isNumber, isString, listOf, shape } from "../runtime/rows.ts";

export const SEGMENT = "history:";

/**
 * Messages in one row, oldest first. They were stored in batches. A row without messages records the newest position,
 * and has one empty batch.
 */
export type SegmentRow = Checked<typeof hasTypes>;

const hasTypes = shape({
  /** The position of the message before the first one. */
  after: isNumber,
  /** The number of messages in each batch. */
  counts: listOf(isNumber),
  /** When each batch was stored, in milliseconds since 1970. */
  times: listOf(isNumber),
  lines: isString,
  /** For each announcement with a key: the key, the position of its last message, and its number of messages. */
  keys: listOf(isKey),
});

export function isSegmentRow(row: unknown): row is SegmentRow {
  return hasTypes(row) && row.counts.length === row.times.length && row.times.length > 0;
}

function isKey(value: unknown): value is [key: string, last: number, count: number] {
  return Array.isArray(value) && isString(value[0]) && isNumber(value[1]) && isNumber(value[2]);
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
