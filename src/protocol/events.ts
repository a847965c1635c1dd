/** Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html, and their ids. */
import { parsePosition } from "./positions.ts";

/** A stream's position in each of its channels, in their order; undefined if unknown. */
export type Positions = (number | undefined)[];

const UNKNOWN = "-";

/** Formats the event id from which a stream can resume. */
export function formatId(positions: Positions): string {
  return positions.map((position) => position ?? UNKNOWN).join(".");
}

/** Parses the event id of a stream of `channels` channels; undefined if it is invalid. */
export function parseId(id: string, channels: number): Positions | undefined {
  const words = id.split(".");
  const positions = words.map(parsePosition);
  const isId = words.every((word, i) => word === UNKNOWN || positions[i] !== undefined);
  return isId && words.length === channels ? positions : undefined;
}

/** Formats one event. A `\r` ends a line here, unlike in the line protocol, so readers get it as `\n`. */
export function formatEvent(event: string, data: string, id: string): string {
  return `event: ${event}\nid: ${id}\ndata: ${formatData(data)}\n\n`;
}

/** Returns an event's text before and after the position of channel `at` in its id, up to its data. */
export function aroundPosition(event: string, positions: Positions, at: number): [head: string, tail: string] {
  const before = positions.slice(0, at).map((position) => `${position ?? UNKNOWN}.`);
  const after = positions.slice(at + 1).map((position) => `.${position ?? UNKNOWN}`);
  return [`event: ${event}\nid: ${before.join("")}`, `${after.join("")}\ndata: `];
}

/** Formats one event from the text around its position. */
export function formatEventAround([head, tail]: [string, string], position: number | undefined, data: string): string {
  return `${head}${position ?? UNKNOWN}${tail}${formatData(data)}\n\n`;
}

function formatData(data: string): string {
  return data.includes("\r") ? data.replaceAll("\r", "\ndata: ") : data;
}

/** Keeps a stream alive without an event. */
export const COMMENT = ":\n\n";

/** Formats the delay after which clients should reconnect, in milliseconds. */
export function formatRetry(milliseconds: number): string {
  return `retry: ${Math.floor(milliseconds)}\n${COMMENT}`;
}
