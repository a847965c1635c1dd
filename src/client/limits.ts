/** How much a client sends at a time: the server's defaults to begin with, and less where the server objects. */
import type { World } from "./world.ts";

/** Lines per second: somewhat less than the default of LINES_PER_SECOND, as connections end at twice that. */
const MOST_LINES = 8_000;

/** Time after which a rate that the server objected to is doubled, in milliseconds. */
const RECOVERY = 10_000;

/** Bytes of a frame with several lines, and of all announcements in flight; the least MAX_BUFFERED_BYTES is 1,000,000. */
const FRAME = 128_000;
const IN_FLIGHT = 256_000;

export class SendLimits {
  readonly #now: () => number;
  /** Most bytes of a frame, unless one line is longer. */
  frame = FRAME;
  /** Most bytes of announcements in flight, unless one is longer. */
  inFlight = IN_FLIGHT;
  /** Lines per second, and in one burst. */
  #rate = MOST_LINES;
  #level = MOST_LINES;
  #at: number;
  #changed: number;

  constructor({ now }: Pick<World, "now">) {
    this.#now = now;
    this.#at = this.#changed = now();
  }

  /** Most lines that can be sent together. */
  get burst(): number {
    return this.#rate;
  }

  /** Milliseconds until so many lines may be sent; takes them if that is 0. */
  waitFor(lines: number): number {
    this.#refill();
    const missing = Math.min(lines, this.#rate) - this.#level;
    // A part of a millisecond would be no time at all.
    if (missing > 0) return Math.ceil((missing * 1_000) / this.#rate) + 1;
    this.#level -= lines;
    return 0;
  }

  /** The server refused something for its rate. */
  slowDown(): void {
    this.#refill();
    this.#rate = Math.max(1, Math.floor(this.#rate / 2));
    // The server counts by the second: what it refused leaves room after one.
    this.#level = Math.min(this.#level, 0);
    this.#changed = this.#now();
  }

  #refill(): void {
    const now = this.#now();
    if (this.#rate < MOST_LINES && now - this.#changed >= RECOVERY) {
      this.#rate = Math.min(MOST_LINES, this.#rate * 2);
      this.#changed = now;
    }
    this.#level = Math.min(this.#rate, this.#level + ((now - this.#at) * this.#rate) / 1_000);
    this.#at = now;
  }
}
