/** A stub that an object keeps from one event to the next. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import type { Askable, Self } from "./self.ts";

export class Kept {
  readonly #self: Self;
  #stub: DurableObjectStub<Askable> | undefined;

  constructor(self: Self) {
    this.#self = self;
  }

  /**
   * Makes the stub.
   * @param ask `peer`: of whom; `use`: whether to use it once
   */
  async keep(ask: Facts): Promise<Facts> {
    this.#stub = this.#self.peer(textIn(ask, "peer"));
    if (ask.use === true) await this.#stub.ask("nothing", {});
    return {};
  }

  /** Makes a line of nested calls like `line`, the first of them by the stub that was kept. */
  async useKept(ask: Facts): Promise<Facts> {
    if (this.#stub === undefined) throw new Error("no stub was kept, or the object was built anew since");
    try {
      const beyond = await this.#stub.ask("line", { hops: numberIn(ask, "hops") - 1 });
      return { ...beyond, hops: numberIn(beyond, "hops") + 1 };
    } catch (error) {
      return { hops: 0, failure: textOf(error) };
    }
  }

  /**
   * Two objects that call each other back, each call nested in the one before; answers like `line`.
   * @param ask `peer`: the other one; `hops`: how many calls; `kept`: whether each keeps one stub, or makes
   *   one for each call
   */
  async bounce(ask: Facts): Promise<Facts> {
    const at = numberIn(ask, "at", 0);
    if (at === numberIn(ask, "hops")) return { hops: at };
    try {
      return await this.#stubFor(ask).ask("bounce", { ...ask, at: at + 1, peer: this.#self.name });
    } catch (error) {
      return { hops: at, failure: textOf(error) };
    }
  }

  #stubFor(ask: Facts): DurableObjectStub<Askable> {
    const peer = textIn(ask, "peer");
    if (ask.kept !== true) return this.#self.peer(peer);
    this.#stub ??= this.#self.peer(peer);
    return this.#stub;
  }
}
