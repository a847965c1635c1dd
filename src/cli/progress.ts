/** Shows the number of announced messages in one line of standard error, which is updated in place. */

/** Least time between two updates, in milliseconds. */
const UPDATE_INTERVAL = 100;

/** Moves a terminal's cursor to the start of the line, and clears the line. */
const CLEAR = "\r\x1b[K";

export class Progress {
  readonly #isShown: boolean;
  readonly #began = performance.now();
  #shownAt = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(isShown: boolean) {
    this.#isShown = isShown;
  }

  /** Counts a message. */
  advance(): void {
    this.#count += 1;
    const now = performance.now();
    if (!this.#isShown || now < this.#shownAt + UPDATE_INTERVAL) return;
    this.#shownAt = now;
    const perSecond = Math.round((this.#count / (now - this.#began)) * 1_000);
    process.stderr.write(`${CLEAR}… ${this.#count} messages, ${perSecond} per second`);
  }

  clear(): void {
    if (this.#isShown) process.stderr.write(CLEAR);
  }

  get summary(): string {
    const seconds = (performance.now() - this.#began) / 1_000;
    return `${this.#count} messages announced in ${seconds.toFixed(1)} s`;
  }
}
