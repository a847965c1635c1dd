/** Work that goes on after the event that began it has been answered. */
import { type Facts, numberIn } from "../facts.ts";
import { line } from "./line.ts";
import type { Self } from "./self.ts";

/** How often a timer looks whether it is time, in milliseconds. */
const TICK = 10;

export class Later {
  readonly #self: Self;
  readonly #released = Promise.withResolvers<void>();
  #isReleased = false;
  #outcome: Promise<Facts> | undefined;

  constructor(self: Self) {
    this.#self = self;
  }

  /**
   * Begins what makes a line of nested calls once another event has come: a timer, or with `by` other
   * than that work that `waitUntil` has been told of.
   * @param ask `by`, and `hops` as for `line`
   */
  arm(ask: Facts): Facts {
    const act = () => line(this.#self, { hops: numberIn(ask, "hops") });
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
      this.#self.context.waitUntil(this.#outcome);
    }
    return {};
  }

  /** The other event: answers with what came of that line. Nothing may come to this object meanwhile. */
  async collect(): Promise<Facts> {
    if (this.#outcome === undefined) throw new Error("nothing was begun, or the object was built anew since");
    this.#isReleased = true;
    this.#released.resolve();
    return await this.#outcome;
  }
}
