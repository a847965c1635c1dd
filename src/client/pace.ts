/** How much a client sends at a time: the server's defaults to begin with, and less where the server objects. */
import type { Environment } from "./environment.ts";

/** Lines per second: somewhat less than the default of LINES_PER_SECOND, as connections end at twice that. */
const MOST_LINES = 8_000;

/** Lines that raise a reduced rate by one. */
const LINES_TO_RECOVER = 20;

/** Characters that every server takes. */
const LEAST_SIZE = 1_000;

export class Pace {
  readonly #now: () => number;
  /**
   * Most characters of a frame, and of all announcements in flight, unless one is longer: of three bytes each they are less
   * than the least MAX_BUFFERED_BYTES, 1,000,000.
   */
  size = 256_000;
  /** Most lines per second, and in one burst. */
  lines = MOST_LINES;
  /** The time at which the lines so far are paid for, if one is paid for after the other. */
  #paid = Number.NEGATIVE_INFINITY;

  constructor({ now }: Pick<Environment, "now">) {
    this.#now = now;
  }

  /** Milliseconds until so many lines may be sent; takes them if that is 0. */
  waitFor(lines: number): number {
    const now = this.#now();
    const paid = Math.max(this.#paid, now - 1_000) + Math.min(1_000, (lines * 1_000) / this.lines);
    if (paid > now) return Math.ceil(paid - now);
    this.#paid = paid;
    this.lines = Math.min(MOST_LINES, this.lines + lines / LINES_TO_RECOVER);
    return 0;
  }

  /** The server objects to the rate. It counts by the second, so it has room after one. */
  slowDown(): void {
    this.lines = Math.max(1, this.lines / 2);
    this.#paid = this.#now();
  }

  /** The server objects to the size of frames, or of everything that is pending. */
  shrink(): void {
    this.size = Math.max(LEAST_SIZE, this.size / 2);
  }
}
