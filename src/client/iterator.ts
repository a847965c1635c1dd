/** An async iterator over pushed items. */

type Result<T> = IteratorResult<T, undefined>;

interface Node<T> {
  item?: T;
  next?: Node<T>;
}

export class Feed<T extends object> implements AsyncIterableIterator<T> {
  /** Called when the program leaves its loop. */
  readonly #onReturn: () => void;
  /** A linked list; its first node's item has been consumed. */
  #first: Node<T> = {};
  #last = this.#first;
  /** The number of buffered items. */
  size = 0;
  /** Calls of `next` that await an item. */
  readonly #pendingReads: [resolve: (result: Result<T>) => void, reject: (error: Error) => void][] = [];
  #isOver = false;
  #error: Error | undefined;

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(item: T): void {
    const [resolve] = this.#pendingReads.shift() ?? [];
    if (resolve) resolve({ done: false, value: item });
    else {
      this.#last = this.#last.next = { item };
      this.size += 1;
    }
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (!this.#first.next) return undefined;
    this.#first = this.#first.next;
    this.size -= 1;
    return this.#first.item;
  }

  /** Ends the iteration after the buffered items, with an error if given. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    for (const settle of this.#pendingReads) this.next().then(...settle);
  }

  async next(): Promise<Result<T>> {
    const value = this.shift();
    if (value !== undefined) return { done: false, value };
    if (!this.#isOver) return new Promise((...settle) => this.#pendingReads.push(settle));
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error;
    return { done: true, value: undefined };
  }

  async return(): Promise<Result<T>> {
    this.#last = this.#first = {};
    this.size = 0;
    this.end();
    this.#error = undefined;
    this.#onReturn();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
