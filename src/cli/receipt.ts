/** What one connection has heard of messages that are numbered from 0 on: each once and in order, or what was wrong. */

export class Receipt {
  /** One more than the greatest number that has come. */
  #next = 0;
  /** Numbers below that have not come. */
  readonly #missing = new Set<number>();
  repeated = 0;
  outOfOrder = 0;

  /** @returns whether it is new */
  hear(number: number): boolean {
    for (let skipped = this.#next; skipped < number; skipped++) this.#missing.add(skipped);
    const isLate = this.#missing.delete(number);
    const isNew = isLate || number >= this.#next;
    if (isLate) this.outOfOrder += 1;
    if (!isNew) this.repeated += 1;
    this.#next = Math.max(this.#next, number + 1);
    return isNew;
  }

  /** How many of the first so many have not come. */
  lost(announced: number): number {
    let missing = Math.max(0, announced - this.#next);
    for (const number of this.#missing) if (number < announced) missing += 1;
    return missing;
  }
}
