/** How often many objects are asked for what they know, as anyone may want to know at any time. */

/** Objects that are asked whenever somebody wants to know: each is a call, and may have to be woken. */
const ALWAYS_ASKED = 10;
/** Of more objects, what they said is told again for so long, in milliseconds for each of them. */
const TOLD_FOR = 10;

export class Polling<Known> {
  readonly #ask: () => Promise<Known>;
  readonly #objectsOf: (known: Known) => number;
  readonly #now: () => number;
  /** Ends when the question that goes round now is answered. */
  #current: Promise<unknown> = Promise.resolve();
  /** The question that goes round after that. */
  #next: Promise<Known> | undefined;
  #told: { known: Known; until: number } | undefined;

  /**
   * @param ask asks everyone
   * @param objectsOf how many those were
   */
  constructor(ask: () => Promise<Known>, objectsOf: (known: Known) => number, now: () => number) {
    this.#ask = ask;
    this.#objectsOf = objectsOf;
    this.#now = now;
  }

  /** One question goes round at a time; all who want to know meanwhile share the answer to the next one. */
  answer(): Promise<Known> {
    if (this.#told && this.#now() < this.#told.until) return Promise.resolve(this.#told.known);
    this.#next ??= this.#askNext();
    return this.#next;
  }

  async #askNext(): Promise<Known> {
    await this.#current;
    this.#next = undefined;
    const asking = this.#ask();
    this.#current = asking.catch(() => {});
    const known = await asking;
    const objects = this.#objectsOf(known);
    if (objects > ALWAYS_ASKED) this.#told = { known, until: this.#now() + objects * TOLD_FOR };
    return known;
  }
}
