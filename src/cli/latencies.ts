/** Latencies in a histogram, whose size doesn't depend on the number of messages. */

/** The ratio of each bucket's upper to its lower bound, which is also the precision of quantiles. */
const STEP = 1.02;
/** Upper bound of the first bucket, in milliseconds. */
const MIN_LATENCY = 0.01;
/** Number of buckets; the last one has everything above a quarter of an hour. */
const BUCKETS = 930;

export class Latencies {
  readonly #counts = new Array<number>(BUCKETS).fill(0);
  #count = 0;
  /** The largest latency in milliseconds; 0 without samples. */
  largest = 0;

  add(milliseconds: number): void {
    const above = Math.ceil(Math.log(Math.max(milliseconds, MIN_LATENCY) / MIN_LATENCY) / Math.log(STEP));
    const bucket = Math.min(BUCKETS - 1, above);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.largest = Math.max(this.largest, milliseconds);
  }

  /** Returns a quantile, from 0 to 1, in milliseconds; 0 without samples. */
  quantile(fraction: number): number {
    let left = Math.ceil(fraction * this.#count);
    const bucket = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return Math.min(this.largest, MIN_LATENCY * STEP ** bucket);
  }
}
