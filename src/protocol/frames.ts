/** Frames: lines of UTF-8. Clients send text or bytes, the server sends text. */
import { isLongerThan, utf8Length } from "./text.ts";

/** One WebSocket message from a client. */
export type Frame = string | ArrayBuffer;

/** Most characters in one frame to a client; longer text is split. */
const MAX_FRAME = 65_536;

const LINE_END = 0x0a;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The share of a pending frame in the byte budget; at least 1, so that empty frames count. */
export function sizeOf(frame: Frame): number {
  return 1 + (typeof frame === "string" ? utf8Length(frame) : frame.byteLength);
}

/** The length of a frame, in characters if it is text, else in bytes. */
export function lengthOf(frame: Frame): number {
  return typeof frame === "string" ? frame.length : frame.byteLength;
}

/** Whether a frame is longer than `limit` bytes. */
export function isTooBig(frame: Frame, limit: number): boolean {
  return typeof frame === "string" ? isLongerThan(frame, limit) : frame.byteLength > limit;
}

/** Counts the lines of a frame; an empty frame counts as one, as it costs as much. */
export function countLines(frame: Frame): number {
  if (typeof frame === "string") return countFrom(frame.length, (from) => frame.indexOf("\n", from));
  const bytes = new Uint8Array(frame);
  return countFrom(bytes.length, (from) => bytes.indexOf(LINE_END, from));
}

/** Counts lines; the last one needs no "\n". */
function countFrom(length: number, endFrom: (from: number) => number): number {
  let lines = 1;
  for (let end = endFrom(0); end >= 0 && end < length - 1; end = endFrom(end + 1)) lines += 1;
  return lines;
}

/** Decodes a frame; returns undefined if it isn't UTF-8. */
export function textOf(frame: Frame): string | undefined {
  if (typeof frame === "string") return frame;
  try {
    return decoder.decode(frame);
  } catch {
    return undefined;
  }
}

/** Splits lines into frames of whole lines, at most MAX_FRAME long unless a single line is longer. */
export function framesOf(lines: string): string[] {
  if (lines.length <= MAX_FRAME) return lines === "" ? [] : [lines];
  const frames: string[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = endOfFrame(lines, from);
    frames.push(lines.slice(from, to));
    from = to;
  }
  return frames;
}

/** Returns the end of the frame that begins at `from`. */
function endOfFrame(text: string, from: number): number {
  if (text.length - from <= MAX_FRAME) return text.length;
  const end = text.lastIndexOf("\n", from + MAX_FRAME - 1);
  return (end > from ? end : text.indexOf("\n", from)) + 1;
}

/** Counts the line ends in `text`. */
export function countEnds(text: string): number {
  let ends = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) ends += 1;
  return ends;
}

/** Returns as many leading lines as fit into `most` characters. */
export function linesWithin(lines: string, most: number): string {
  if (lines.length <= most) return lines;
  return most <= 0 ? "" : lines.slice(0, lines.lastIndexOf("\n", most - 1) + 1);
}

/** Returns the first `n` of `lines`. */
export function firstLines(lines: string, n: number): string {
  return lines.slice(0, lines.length - dropLines(lines, n).length);
}

/** Returns `lines` without the first `n`. */
export function dropLines(lines: string, n: number): string {
  return lines.slice(skipLines(lines, n));
}

/** Inserts a line before the last `count` lines that begin with `start`. */
export function insertLine(lines: string, line: string, start: string, count: number): string {
  const text = `\n${lines}`;
  let at = lines.length;
  for (let left = count; left > 0 && at > 0; left--) at = text.lastIndexOf(`\n${start}`, at - 1);
  const before = lines.slice(0, Math.max(0, at));
  return before + line + lines.slice(before.length);
}

/** Returns the index of the line `n` lines after the one at `from`. */
export function skipLines(lines: string, n: number, from = 0): number {
  let at = from;
  for (let i = 0; i < n; i++) at = lines.indexOf("\n", at) + 1;
  return at;
}
