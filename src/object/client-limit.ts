/** This object's part in limiting the connections of the whole service. */
import { EVERYONE } from "../protocol/channels.ts";
import type { ConnectionClaim } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import type { Outage } from "../tree/outage.ts";
import { Claims } from "./claims.ts";
import { Quota } from "./quota.ts";

export class ClientLimit {
  readonly #runtime: Runtime;
  readonly #counters: Counters;
  readonly #claims: Claims;
  /** Only at the root of `all`. */
  readonly #quota: Quota | undefined;

  /** @param limit connections of the whole service */
  constructor(runtime: Runtime, limit: number, counters: Counters, outage: Outage) {
    this.#runtime = runtime;
    this.#counters = counters;
    if (runtime.name === EVERYONE) this.#quota = new Quota(runtime, limit, (object) => this.#recountAt(object));
    const claimAtRoot = async (claim: ConnectionClaim) =>
      this.#quota ? this.claim(claim) : runtime.call(EVERYONE, "claim", claim);
    this.#claims = new Claims(runtime, claimAtRoot, outage);
  }

  /** Restores what the root of `all` knows, and claims the connections that hibernated. */
  start(held: number): void {
    this.#quota?.start();
    this.#claims.start(held);
  }

  /** Claims one more connection. While the root of `all` doesn't answer, it is admitted. */
  admit(): Promise<boolean> {
    return this.#claims.admit();
  }

  /** Releases the claim of a connection that has closed. */
  release(): void {
    this.#claims.release();
  }

  /** Claims all connections again. */
  recount(): void {
    this.#claims.recount();
  }

  /** Whether the root of `all` knows this object's connections. */
  get isKnown(): boolean {
    return this.#claims.isKnown;
  }

  /** At the root of `all`: returns how many of the wanted connections are granted to an object. */
  claim(claim: ConnectionClaim): number {
    const granted = this.#quota?.claim(claim) ?? claim.wanted;
    this.#counters.count("rejected", claim.wanted - granted);
    return granted;
  }

  async #recountAt(object: string): Promise<void> {
    if (object === this.#runtime.name) this.recount();
    else await this.#runtime.call(object, "recount", undefined);
  }
}
