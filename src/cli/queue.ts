/** Work that is done one piece after another, up to a number of messages. */
import { Exit, LOCAL } from "./exits.ts";

/** Messages that may wait for a slow consumer: there is memory for so many. */
const MOST_WAITING = 1_000_000;

export class Queue {
  #left: number;
  #waiting: (() => Promise<void>)[] = [];
  #next = 0;
  #isBusy = false;
  #drained: (() => void)[] = [];
  #finish: () => void = () => {};
  #fail: (error: unknown) => void = () => {};
  /** Resolves when the last message was processed that is wanted; rejects when work fails. */
  readonly finished: Promise<void>;

  /** @param count messages that are processed; others are ignored */
  constructor(count = Number.POSITIVE_INFINITY) {
    this.#left = count;
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.finished.catch(() => {});
  }

  add(work: () => Promise<void>): void {
    if (this.#waiting.length - this.#next >= MOST_WAITING) {
      this.#fail(new Exit(LOCAL, `${MOST_WAITING} messages wait to be processed; the consumer is too slow`));
      return;
    }
    this.#waiting.push(work);
    if (!this.#isBusy) void this.#run();
  }

  addMessage(work: () => Promise<void>): void {
    this.add(async () => {
      await work();
      this.#left -= 1;
    });
  }

  /** Resolves when nothing waits. */
  async drained(): Promise<void> {
    if (this.#isBusy) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    try {
      for (let work = this.#take(); work && this.#left > 0; work = this.#take()) await work();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isBusy = false;
    if (this.#left <= 0) this.#finish();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #take(): (() => Promise<void>) | undefined {
    const work = this.#waiting[this.#next++];
    if (work) return work;
    this.#waiting = [];
    this.#next = 0;
    return undefined;
  }
}
