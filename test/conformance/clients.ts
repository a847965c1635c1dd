/** The clients of the cases, and helpers for what they send. */
import { client, type Line } from "./case.ts";

export const alice = client("alice");
export const bob = client("bob");
export const carol = client("carol");
export const dave = client("dave");

/** The same step of several clients, one after another. */
export function each(...clients: (typeof alice)[]) {
  return {
    connects: (path: string) => clients.map((one) => one.connects(path)),
    reads: (...lines: Line[]) => clients.map((one) => one.reads(...lines)),
  };
}

const encoder = new TextEncoder();

export const utf8 = (text: string) => encoder.encode(text);
export const bytes = (...values: number[]) => Uint8Array.from(values);

/** The numbers from 1 to `n`. */
export const numbers = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
