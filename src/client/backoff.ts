/** How long to wait before something is tried again. */

const LEAST = 500;
const MOST = 20_000;

/** Milliseconds before the next try after so many failures: at random, so that not all come at once, and up to twice as much each time. */
export function backoff(failures: number): number {
  const most = Math.min(MOST, 2 * LEAST * 2 ** failures);
  return LEAST + Math.random() * (most - LEAST);
}
