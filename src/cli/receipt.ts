/** Checks that a connection receives messages, numbered from 0, once and in order. */

export class Receipt {
  /** One more than the greatest number received. */
  #next = 0;
  /** Smaller numbers that haven't been received. */
  readonly #missing = new Set<number>();
  repeated = 0;
  outOfOrder = 0;

  /** Records a message. @returns whether it is new */
  add(number: number): boolean {
    for (let skipped = this.#next; skipped < number; skipped++) this.#missing.add(skipped);
    const isLate = this.#missing.delete(number);
    const isNew = isLate || number >= this.#next;
    if (isLate) this.outOfOrder += 1;
    if (!isNew) this.repeated += 1;
    this.#next = Math.max(this.#next, number + 1);
    return isNew;
  }

  /** Returns how many of the announced messages haven't been received. */
  lost(announced: number): number {
    let missing = Math.max(0, announced - this.#next);
    for (const number of this.#missing) if (number < announced) missing += 1;
    return missing;
  }
}
