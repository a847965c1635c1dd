/** Random decisions that a seed repeats. */

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  }

  /** Returns other dice, whose decisions don't depend on how often these are used afterwards. */
  split(): Dice {
    return new Dice(this.below(2 ** 32));
  }

  /** Returns a number from 0 up to `limit`, which it never is (Mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit;
  }

  between(least: number, limit: number): number {
    return least + this.below(limit - least);
  }

  any<T>(all: readonly T[]): T {
    const [one] = all.slice(Math.floor(this.below(all.length)));
    if (one === undefined) throw new Error("the list is empty");
    return one;
  }
}
