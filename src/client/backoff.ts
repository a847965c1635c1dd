/** How long to wait before something is tried again. */
import type { Environment } from "./environment.ts";

const LEAST = 500;
const MOST = 20_000;

/** Longest time that a server may have a client wait, in milliseconds: five minutes. */
const MOST_ASKED = 300_000;

/**
 * Milliseconds until the next attempt after so many failures in a row: random, so that clients don't return together,
 * from half a second to twice as much for each failure, at most 20 s.
 * @param asked milliseconds for which the server asked
 */
export function backoff({ random }: Pick<Environment, "random">, failures: number, asked = 0): number {
  const most = Math.min(MOST, 2 * LEAST * 2 ** failures);
  return Math.max(Math.min(asked, MOST_ASKED), LEAST + random() * (most - LEAST));
}
