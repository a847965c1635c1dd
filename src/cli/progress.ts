/** Shows the number of announced messages in one line of standard error, which is updated in place. */

/** Least time between two updates, in milliseconds. */
const UPDATE_INTERVAL = 100;

/** Moves a terminal's cursor to the start of the line, and clears the line. */
const CLEAR = "\r\x1b[K";

export function progressOf(isShown: boolean) {
  const began = performance.now();
  let shownAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  return {
    /** Counts a message. */
    advance(): void {
      count += 1;
      if (!isShown) return;
      const now = performance.now();
      if (now < shownAt + UPDATE_INTERVAL) return;
      shownAt = now;
      const perSecond = Math.round((count / (now - began)) * 1_000);
      process.stderr.write(`${CLEAR}… ${count} messages, ${perSecond} per second`);
    },
    clear: () => isShown && process.stderr.write(CLEAR),
    summary: () => `${count} messages announced in ${((performance.now() - began) / 1_000).toFixed(1)} s`,
  };
}
