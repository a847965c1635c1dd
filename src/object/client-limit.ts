/** The number of connections of the whole service, where it is limited: this object's part in counting them. */

import { EVERYONE } from "../protocol/channels.ts";
import type { Claim } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import { Claims } from "./claims.ts";
import { Quota } from "./quota.ts";

export class ClientLimit {
  readonly #runtime: Runtime;
  readonly #counters: Counters;
  readonly #claims: Claims;
  /** At the root of `all`. */
  readonly #quota: Quota | undefined;

  /**
   * @param held connections that are there already
   * @param unfinished called when the root of `all` does not answer: `recount` is to be called later
   */
  constructor(runtime: Runtime, limit: number, counters: Counters, held: number, unfinished: () => void) {
    this.#runtime = runtime;
    this.#counters = counters;
    if (runtime.name === EVERYONE)
      this.#quota = new Quota(runtime, limit, (object) => this.#recountAt(object));
    this.#claims = new Claims(runtime, held, {
      claim: async (claim) => (this.#quota ? this.claim(claim) : runtime.call(EVERYONE, "claim", claim)),
      unfinished,
    });
  }

  /** Asks for one more connection. While there is no answer to be had it is admitted. */
  admit(): Promise<boolean> {
    return this.#claims.admit();
  }

  /** One that was admitted has gone. */
  release(): void {
    this.#claims.release();
  }

  /** Claims anew what this object holds. */
  recount(): void {
    this.#claims.recount();
  }

  /** Whether the root of `all` knows what this object holds. */
  get isKnown(): boolean {
    return this.#claims.isKnown;
  }

  /** At the root of `all`: says how many connections an object may take. */
  claim(claim: Claim): number {
    const granted = this.#quota?.claim(claim) ?? claim.wanted;
    this.#counters.count("rejected", claim.wanted - granted);
    return granted;
  }

  async #recountAt(object: string): Promise<void> {
    if (object === this.#runtime.name) this.recount();
    else await this.#runtime.call(object, "recount", undefined);
  }
}
