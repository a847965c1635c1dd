/** The clients of the cases, and helpers for what they send. */
import { client } from "./case.ts";

export const alice = client("alice");
export const bob = client("bob");
export const carol = client("carol");
export const dave = client("dave");

const encoder = new TextEncoder();

export const utf8 = (text: string) => encoder.encode(text);
export const bytes = (...values: number[]) => Uint8Array.from(values);

/** The numbers from 1 to `n`. */
export const numbers = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
