/** An iterator over what is pushed into it. Nothing that a program does with it can hang. */

type Result<T> = IteratorResult<T, undefined>;

interface Node<T> {
  item?: T;
  next?: Node<T>;
}

export class Feed<T extends object> implements AsyncIterableIterator<T> {
  /** Called when a program leaves its loop. */
  readonly #left: () => void;
  /** A list, whose first node holds nothing that is pending. */
  #first: Node<T> = {};
  #last = this.#first;
  /** Items that are pending. */
  size = 0;
  /** Calls of `next` that are ahead of what was pushed. */
  readonly #waiting: [resolve: (result: Result<T>) => void, reject: (error: Error) => void][] = [];
  #isOver = false;
  #error: Error | undefined;

  constructor(left: () => void) {
    this.#left = left;
  }

  push(item: T): void {
    const [resolve] = this.#waiting.shift() ?? [];
    if (resolve) resolve({ done: false, value: item });
    else {
      this.#last = this.#last.next = { item };
      this.size += 1;
    }
  }

  /** Takes out the oldest pending item. */
  shift(): T | undefined {
    if (!this.#first.next) return undefined;
    this.#first = this.#first.next;
    this.size -= 1;
    return this.#first.item;
  }

  /** Ends it when the pending items are read: with an error, if there is one. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    for (const settle of this.#waiting) this.next().then(...settle);
  }

  async next(): Promise<Result<T>> {
    const value = this.shift();
    if (value !== undefined) return { done: false, value };
    if (!this.#isOver) return new Promise((...settle) => this.#waiting.push(settle));
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
    this.#left();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
