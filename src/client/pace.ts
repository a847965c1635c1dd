/** Send limits: the server's defaults at first, reduced when the server objects. */
import type { Environment } from "./environment.ts";

/** Default lines per second: somewhat below the default LINES_PER_SECOND, as the server closes connections at twice that. */
const MAX_LINES = 8_000;

/** The number of sent lines that raise a reduced rate by one line per second. */
const LINES_PER_INCREASE = 20;

/** A frame length, in characters, that every server accepts. */
const MIN_SIZE = 1_000;

export class Pace {
  readonly #now: () => number;
  /**
   * Most characters in a frame, and of all announcements in flight, unless a single one is longer. At three bytes each
   * they stay below the least MAX_BUFFERED_BYTES, 1,000,000.
   */
  size = 256_000;
  /** Most lines per second, and in one burst. */
  lines: number;
  readonly #maxLines: number;
  /** A token bucket's fill level, as the time at which the lines sent so far would have gone out at an even rate. */
  #evenTime = Number.NEGATIVE_INFINITY;

  constructor({ now }: Pick<Environment, "now">, maxLines = MAX_LINES) {
    this.#now = now;
    this.lines = this.#maxLines = maxLines;
  }

  /** Returns the delay before the lines may be sent, in milliseconds; if it is 0, counts them as sent. */
  waitFor(lines: number): number {
    const now = this.#now();
    const evenTime = Math.max(this.#evenTime, now - 1_000) + Math.min(1_000, (lines * 1_000) / this.lines);
    if (evenTime > now) return Math.ceil(evenTime - now);
    this.#evenTime = evenTime;
    this.lines = Math.min(this.#maxLines, this.lines + lines / LINES_PER_INCREASE);
    return 0;
  }

  /** Halves the rate, after the server objected to it, and starts a new second, as the server counts by the second. */
  slowDown(): void {
    this.lines = Math.max(1, this.lines / 2);
    this.#evenTime = this.#now();
  }

  /** Halves the frame size, after the server objected to a frame or to everything pending. */
  shrink(): void {
    this.size = Math.max(MIN_SIZE, this.size / 2);
  }
}
