/** Work that continues after its event has been answered. */
import { type Facts, numberIn } from "../facts.ts";
import { chain } from "./chain.ts";
import type { Host } from "./host.ts";

/** The timer's interval, in milliseconds. */
const TICK = 10;

export class Later {
  readonly #host: Host;
  readonly #released = Promise.withResolvers<void>();
  #isReleased = false;
  #outcome: Promise<Facts> | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Begins work that will make a chain of nested calls once another event has come: in a timer, or in a promise passed to
   * `waitUntil`.
   * @param ask `by`: `timer` or `waitUntil`; `hops` as for `chain`
   */
  arm(ask: Facts): Facts {
    const act = () => chain(this.#host, { hops: numberIn(ask, "hops") });
    if (ask.by === "timer") {
      this.#outcome = new Promise((resolve) => {
        const timer = setInterval(() => {
          if (!this.#isReleased) return;
          clearInterval(timer);
          resolve(act());
        }, TICK);
      });
    } else {
      this.#outcome = this.#released.promise.then(act);
      this.#host.context.waitUntil(this.#outcome);
    }
    return {};
  }

  /** The other event: returns the outcome of the chain. No other events may come in between. */
  async collect(): Promise<Facts> {
    if (this.#outcome === undefined) throw new Error("nothing was begun; the object may have been rebuilt");
    this.#isReleased = true;
    this.#released.resolve();
    return await this.#outcome;
  }
}
