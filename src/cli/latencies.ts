/** How long messages took: counted in classes, so that it takes the same memory however many they are. */

/** Each class ends so much above where it begins: what is told of them is as exact as that. */
const STEP = 1.02;
/** Where the first class ends, in milliseconds. */
const LEAST = 0.01;
/** The last one has all above a quarter of an hour. */
const CLASSES = 930;

export class Latencies {
  readonly #counts = new Array<number>(CLASSES).fill(0);
  #count = 0;
  #largest = 0;

  add(milliseconds: number): void {
    const above = Math.ceil(Math.log(Math.max(milliseconds, LEAST) / LEAST) / Math.log(STEP));
    const place = Math.min(CLASSES - 1, above);
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#count += 1;
    this.#largest = Math.max(this.#largest, milliseconds);
  }

  /** In milliseconds; 0 if there are none. */
  get largest(): number {
    return this.#largest;
  }

  /** What such a part of all, up to 1, did not exceed, in milliseconds; 0 if there are none. */
  within(part: number): number {
    let left = Math.ceil(part * this.#count);
    const place = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return Math.min(this.#largest, LEAST * STEP ** place);
  }
}
