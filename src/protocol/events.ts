/** Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html, and the ids that they carry. */
import { parsePosition } from "./positions.ts";

/** Where a stream is in each of its channels, in their order; undefined where that is not known. */
export type Positions = (number | undefined)[];

const UNKNOWN = "-";

/** An id that brings a stream back to where it is. */
export function formatId(positions: Positions): string {
  return positions.map((position) => position ?? UNKNOWN).join(".");
}

/** Reads the id of a stream of so many channels; undefined if it is not one. */
export function parseId(id: string, channels: number): Positions | undefined {
  const words = id.split(".");
  const positions = words.map(parsePosition);
  const isId = words.every((word, i) => word === UNKNOWN || positions[i] !== undefined);
  return isId && words.length === channels ? positions : undefined;
}

/** One event. What is no end of a line in the protocol, `\r`, is one here, and is read as `\n`. */
export function formatEvent(event: string, data: string, id: string): string {
  return `event: ${event}\nid: ${id}\ndata: ${formatData(data)}\n\n`;
}

/** The text of an event up to one of the positions in its id, and from there to its data. */
export function aroundPosition(
  event: string,
  positions: Positions,
  at: number,
): [head: string, tail: string] {
  const before = positions.slice(0, at).map((position) => `${position ?? UNKNOWN}.`);
  const after = positions.slice(at + 1).map((position) => `.${position ?? UNKNOWN}`);
  return [`event: ${event}\nid: ${before.join("")}`, `${after.join("")}\ndata: `];
}

/** One event, of the text around its position. */
export function formatEventAround(
  [head, tail]: [string, string],
  position: number | undefined,
  data: string,
): string {
  return `${head}${position ?? UNKNOWN}${tail}${formatData(data)}\n\n`;
}

function formatData(data: string): string {
  return data.includes("\r") ? data.replaceAll("\r", "\ndata: ") : data;
}

/** What keeps a stream alive, and is no event. */
export const COMMENT = ":\n\n";

/** How long a client is to wait before it comes back, in milliseconds. */
export function formatRetry(milliseconds: number): string {
  return `retry: ${Math.floor(milliseconds)}\n${COMMENT}`;
}
