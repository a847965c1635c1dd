/** This object's part in limiting the connections of the whole service. */
import { EVERYONE } from "../protocol/channels.ts";
import type { ConnectionClaim } from "../runtime/calls.ts";
import type { RouterParts } from "../tree/router.ts";
import { Claims } from "./claims.ts";
import { Quota } from "./quota.ts";

export class ClientLimit extends Claims {
  readonly #parts: RouterParts;
  /** Only at the root of `all`. */
  readonly #quota: Quota | undefined;

  constructor(parts: RouterParts) {
    const { runtime, limits, outage } = parts;
    const claim = async (claim: ConnectionClaim) =>
      this.#quota ? this.claim(claim) : runtime.call(EVERYONE, "claim", claim);
    super(runtime, claim, outage);
    this.#parts = parts;
    if (runtime.name !== EVERYONE) return;
    this.#quota = new Quota(runtime, limits.clientLimit, async (object) => {
      if (object === runtime.name) this.recount();
      else await runtime.call(object, "recount", undefined);
    });
  }

  /** Restores what the root of `all` knows, and claims the connections that hibernated. */
  override start(held: number): void {
    this.#quota?.start();
    super.start(held);
  }

  /** At the root of `all`: returns how many of the wanted connections are granted to an object. */
  claim(claim: ConnectionClaim): number {
    const granted = this.#quota?.claim(claim) ?? claim.wanted;
    this.#parts.counters.count("rejected", claim.wanted - granted);
    return granted;
  }
}
