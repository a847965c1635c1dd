/** Delays between retries. */
import type { Environment } from "./environment.ts";

const MIN_DELAY = 500;
const MAX_DELAY = 20_000;

/** Longest delay that a server may ask for, in milliseconds: five minutes. */
const MAX_ASKED = 300_000;

/**
 * Returns the delay before the next attempt, in milliseconds. It is random, so that clients don't reconnect at the same
 * time: from 500 ms to 1 s, and up to twice as much after each failure in a row, at most 20 s.
 * @param asked the delay that the server asked for, in milliseconds
 */
export function backoff({ random }: Pick<Environment, "random">, failures: number, asked = 0): number {
  const most = Math.min(MAX_DELAY, 2 * MIN_DELAY * 2 ** failures);
  return Math.max(Math.min(asked, MAX_ASKED), MIN_DELAY + random() * (most - MIN_DELAY));
}
