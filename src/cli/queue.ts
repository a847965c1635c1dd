/** Processes messages one at a time. */
import { Exit, LOCAL } from "./exits.ts";

/** Most queued messages, to bound the memory that a slow consumer costs. */
const MAX_PENDING = 1_000_000;

export class Queue {
  #left: number;
  #pending: (() => Promise<void>)[] = [];
  #next = 0;
  #isBusy = false;
  #drained: (() => void)[] = [];
  readonly #end = Promise.withResolvers<void>();
  /** Resolves when `count` messages are processed; rejects when work fails. */
  readonly finished = this.#end.promise;

  /** @param count number of messages to process; later ones are ignored */
  constructor(count = Number.POSITIVE_INFINITY) {
    this.#left = count;
    this.finished.catch(() => {});
  }

  add(work: () => Promise<void>): void {
    if (this.#pending.length - this.#next >= MAX_PENDING) {
      this.#end.reject(new Exit(LOCAL, `the consumer is too slow: ${MAX_PENDING} messages are queued`));
      return;
    }
    this.#pending.push(work);
    if (!this.#isBusy) void this.#run();
  }

  addMessage(work: () => Promise<void>): void {
    this.add(async () => {
      await work();
      this.#left -= 1;
    });
  }

  /** Resolves when the queue is empty. */
  async drained(): Promise<void> {
    if (this.#isBusy) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    try {
      for (let work = this.#take(); work && this.#left > 0; work = this.#take()) await work();
    } catch (error) {
      this.#end.reject(error);
      return;
    }
    this.#isBusy = false;
    if (this.#left <= 0) this.#end.resolve();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #take(): (() => Promise<void>) | undefined {
    const work = this.#pending[this.#next++];
    if (work) return work;
    this.#pending = [];
    this.#next = 0;
    return undefined;
  }
}
