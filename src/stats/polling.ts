/** Limits how often all objects are polled, however often clients ask. */

/** Up to this many objects are polled for each request. Each poll is a call, and may wake the object. */
const ALWAYS_POLLED = 10;
/** The result of polling more objects is cached, for this many milliseconds per object. */
const CACHED_PER_OBJECT = 10;

export class Polling<Result> {
  readonly #poll: () => Promise<Result>;
  readonly #objectsOf: (result: Result) => number;
  readonly #now: () => number;
  /** Settles when the current poll has. */
  #current: Promise<unknown> = Promise.resolve();
  /** The poll that starts after it. */
  #next: Promise<Result> | undefined;
  #cached: { result: Result; until: number } | undefined;

  /**
   * @param poll polls all objects
   * @param objectsOf returns how many objects a result includes
   */
  constructor(poll: () => Promise<Result>, objectsOf: (result: Result) => number, now: () => number) {
    this.#poll = poll;
    this.#objectsOf = objectsOf;
    this.#now = now;
  }

  /** Returns a result that is cached or newer than this call. Polls run one at a time; concurrent callers share the next one. */
  answer(): Promise<Result> {
    if (this.#cached && this.#now() < this.#cached.until) return Promise.resolve(this.#cached.result);
    this.#next ??= this.#startNext();
    return this.#next;
  }

  async #startNext(): Promise<Result> {
    await this.#current;
    this.#next = undefined;
    const polling = this.#poll();
    this.#current = polling.catch(() => {});
    const result = await polling;
    const objects = this.#objectsOf(result);
    if (objects > ALWAYS_POLLED) this.#cached = { result, until: this.#now() + objects * CACHED_PER_OBJECT };
    return result;
  }
}
