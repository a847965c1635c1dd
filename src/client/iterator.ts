/** An iterator over what is pushed into it. Nothing that a program does with it can hang. */

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: Error): void;
}

/** Items that were taken out before the queue is copied. */
const COMPACT = 1_000;

export class Feed<T extends object> implements AsyncIterableIterator<T> {
  /** Called once, when a program leaves its loop. */
  readonly #left: () => void;
  #queue: T[] = [];
  /** Where in the queue the next item is. */
  #next = 0;
  /** Calls of `next` that are ahead of what was pushed. */
  readonly #waiting: Waiting<T>[] = [];
  #isOver = false;
  #error: Error | undefined;

  constructor(left: () => void) {
    this.#left = left;
  }

  /** Items that are pending. */
  get size(): number {
    return this.#queue.length - this.#next;
  }

  push(item: T): void {
    if (this.#isOver) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve({ done: false, value: item });
    else this.#queue.push(item);
  }

  /** Takes out the oldest pending item. */
  shift(): T | undefined {
    const item = this.#queue[this.#next];
    if (this.size === 0) return undefined;
    this.#next += 1;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    } else if (this.#next === COMPACT) {
      this.#queue = this.#queue.slice(COMPACT);
      this.#next = 0;
    }
    return item;
  }

  /** Ends it when the pending items are read: with an error, if there is one. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    const [first, ...others] = this.#waiting.splice(0);
    if (first && error) {
      this.#error = undefined;
      first.reject(error);
    } else first?.resolve(DONE);
    for (const { resolve } of others) resolve(DONE);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const value = this.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    const error = this.#error;
    this.#error = undefined;
    if (error) return Promise.reject(error);
    if (this.#isOver) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#queue = [];
    this.#next = 0;
    this.end();
    this.#error = undefined;
    this.#left();
    return Promise.resolve(DONE);
  }

  async throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };
