/** A stub that an object uses in several events. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import type { Askable, Host } from "./host.ts";

export class ReusedStub {
  readonly #host: Host;
  #stub: DurableObjectStub<Askable> | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Creates the stub.
   * @param ask `peer`: its object; `use`: whether to use it once
   */
  async create(ask: Facts): Promise<Facts> {
    this.#stub = this.#host.peer(textIn(ask, "peer"));
    if (ask.use === true) await this.#stub.ask("nothing", {});
    return {};
  }

  /** Makes a chain of nested calls like `chain`, the first of them through the stub. */
  async use(ask: Facts): Promise<Facts> {
    if (this.#stub === undefined) throw new Error("there is no stub; the object may have been rebuilt");
    try {
      const beyond = await this.#stub.ask("chain", { hops: numberIn(ask, "hops") - 1 });
      return { ...beyond, hops: numberIn(beyond, "hops") + 1 };
    } catch (error) {
      return { hops: 0, failure: textOf(error) };
    }
  }

  /**
   * Makes two objects call each other back, each call nested in the one before; returns the same as `chain`.
   * @param ask `peer`: the other object; `hops`: how many calls; `reuse`: whether each object reuses one stub, or
   *   creates one per call
   */
  async bounce(ask: Facts): Promise<Facts> {
    const at = numberIn(ask, "at", 0);
    if (at === numberIn(ask, "hops")) return { hops: at };
    try {
      return await this.#stubFor(ask).ask("bounce", { ...ask, at: at + 1, peer: this.#host.name });
    } catch (error) {
      return { hops: at, failure: textOf(error) };
    }
  }

  #stubFor(ask: Facts): DurableObjectStub<Askable> {
    const peer = textIn(ask, "peer");
    if (ask.reuse !== true) return this.#host.peer(peer);
    this.#stub ??= this.#host.peer(peer);
    return this.#stub;
  }
}
