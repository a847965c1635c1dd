/** Frames: lines of UTF-8, as text or as bytes from a client, as text to one. */
import { isLongerThan, utf8Length } from "./text.ts";

/** What a client sends at a time. */
export type Frame = string | ArrayBuffer;

/** Most characters in one frame to a client; longer streams go out as several frames. */
const MAX_FRAME = 65_536;

const LINE_END = 0x0a;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a waiting frame counts for, in bytes; empty ones count too. */
export function sizeOf(frame: Frame): number {
  return 1 + (typeof frame === "string" ? utf8Length(frame) : frame.byteLength);
}

/** The length of a frame in characters or bytes, whichever it consists of. */
export function lengthOf(frame: Frame): number {
  return typeof frame === "string" ? frame.length : frame.byteLength;
}

/** Whether a frame has more than `limit` bytes. */
export function isTooBig(frame: Frame, limit: number): boolean {
  return typeof frame === "string" ? isLongerThan(frame, limit) : frame.byteLength > limit;
}

/** How many lines a frame has; an empty one counts as one, as it costs as much. */
export function countLines(frame: Frame): number {
  if (typeof frame === "string") return countFrom(frame.length, (from) => frame.indexOf("\n", from));
  const bytes = new Uint8Array(frame);
  return countFrom(bytes.length, (from) => bytes.indexOf(LINE_END, from));
}

/** The end of a frame also ends its last line. */
function countFrom(length: number, endFrom: (from: number) => number): number {
  let lines = 1;
  for (let end = endFrom(0); end >= 0 && end < length - 1; end = endFrom(end + 1)) lines += 1;
  return lines;
}

/** The text of a frame; undefined if it is not UTF-8. */
export function textOf(frame: Frame): string | undefined {
  if (typeof frame === "string") return frame;
  try {
    return decoder.decode(frame);
  } catch {
    return undefined;
  }
}

/** Cuts lines into frames of whole lines, none longer than MAX_FRAME unless one line is. */
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

/** Where a frame that begins at `from` ends. */
function endOfFrame(text: string, from: number): number {
  if (text.length - from <= MAX_FRAME) return text.length;
  const end = text.lastIndexOf("\n", from + MAX_FRAME - 1);
  return (end > from ? end : text.indexOf("\n", from)) + 1;
}

/** How many lines end in `text`. */
export function countEnds(text: string): number {
  let ends = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) ends += 1;
  return ends;
}

/** The first of `lines`, as many as have at most `most` characters together. */
export function linesWithin(lines: string, most: number): string {
  if (lines.length <= most) return lines;
  return most <= 0 ? "" : lines.slice(0, lines.lastIndexOf("\n", most - 1) + 1);
}

/** The first `n` of `lines`. */
export function firstLines(lines: string, n: number): string {
  return lines.slice(0, lines.length - dropLines(lines, n).length);
}

/** `lines` without the first `n` of them. */
export function dropLines(lines: string, n: number): string {
  return lines.slice(skipLines(lines, n));
}

/** Inserts a line before the newest `count` of the lines that begin with `start`. */
export function insertLine(lines: string, line: string, start: string, count: number): string {
  const text = `\n${lines}`;
  let at = lines.length;
  for (let left = count; left > 0 && at > 0; left--) at = text.lastIndexOf(`\n${start}`, at - 1);
  const before = lines.slice(0, Math.max(0, at));
  return before + line + lines.slice(before.length);
}

/** Returns where the line begins that comes `n` lines after the one that begins at `from`. */
export function skipLines(lines: string, n: number, from = 0): number {
  let at = from;
  for (let i = 0; i < n; i++) at = lines.indexOf("\n", at) + 1;
  return at;
}
