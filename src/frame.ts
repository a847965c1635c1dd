/** What a frame from a client holds: lines of UTF-8, as text or as bytes. */
import { isLongerThan, utf8Length } from "./protocol.ts";

export type Data = string | ArrayBuffer;

const LINE_END = 0x0a;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a waiting frame counts for, in bytes; empty ones count too. */
export function sizeOf(data: Data): number {
  return 1 + (typeof data === "string" ? utf8Length(data) : data.byteLength);
}

/** Whether a frame has more than `limit` bytes. */
export function isTooBig(data: Data, limit: number): boolean {
  return typeof data === "string" ? isLongerThan(data, limit) : data.byteLength > limit;
}

/** How many lines a frame has; an empty one counts as one, as it costs as much. */
export function countLines(data: Data): number {
  if (typeof data === "string") return countEnds(data.length, (from) => data.indexOf("\n", from));
  const bytes = new Uint8Array(data);
  return countEnds(bytes.length, (from) => bytes.indexOf(LINE_END, from));
}

/** The end of a frame also ends its last line. */
function countEnds(length: number, endFrom: (from: number) => number): number {
  let lines = 1;
  for (let end = endFrom(0); end >= 0 && end < length - 1; end = endFrom(end + 1)) lines += 1;
  return lines;
}

/** The lines of a frame; a single undefined one if it is not UTF-8. */
export function linesOf(data: Data): (string | undefined)[] {
  if (typeof data === "string") return data.split("\n");
  try {
    return decoder.decode(data).split("\n");
  } catch {
    return [undefined];
  }
}
