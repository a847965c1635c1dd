/** How many messages have been announced, in a line on standard error that is written over itself. */

/** How long one line stays at least, in milliseconds. */
const EACH = 100;

/** Has a terminal go back to the beginning of the line, and empty it. */
const CLEAR = "\r\x1b[K";

export class Progress {
  readonly #isShown: boolean;
  readonly #began = performance.now();
  #shownAt = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(isShown: boolean) {
    this.#isShown = isShown;
  }

  /** One more has its place. */
  advance(): void {
    this.#count += 1;
    const now = performance.now();
    if (!this.#isShown || now < this.#shownAt + EACH) return;
    this.#shownAt = now;
    const perSecond = Math.round((this.#count / (now - this.#began)) * 1_000);
    process.stderr.write(`${CLEAR}… ${this.#count} messages, ${perSecond} a second`);
  }

  clear(): void {
    if (this.#isShown) process.stderr.write(CLEAR);
  }

  get summary(): string {
    const seconds = (performance.now() - this.#began) / 1_000;
    return `${this.#count} messages announced in ${seconds.toFixed(1)} s`;
  }
}
