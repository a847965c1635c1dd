/** A stream as promises of its pieces. */
import type { Stream } from "../../../src/streams/stream.ts";

/** Resolves to the next piece, or to undefined at the end. Rejects if the reader was too slow. */
export function nextPiece(stream: Stream): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    stream.pull({ write: resolve, end: () => resolve(undefined), fail: reject });
  });
}
