/** Claims this object's connections at the root of `all`, where the number of connections is limited. */
import type { ConnectionClaim } from "../runtime/calls.ts";
import { isNumber, rowOf } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Outage } from "../tree/outage.ts";
import { retry } from "../tree/retry.ts";

/** The row with the number of connections that the root of `all` knows. */
const TOLD = "told";

type ClaimParts = { readonly runtime: Runtime; readonly outage: Pick<Outage, "goOn"> };

export class Claims {
  readonly #parts: ClaimParts;
  readonly #claim: (claim: ConnectionClaim) => Promise<number>;
  #held = 0;
  /** The number of connections that the root of `all` knows; NaN while that is unknown. */
  #known = 0;
  #newest = 0;
  #pending: ((admitted: boolean) => void)[] = [];
  #isAsking = false;

  /** @param claim claims at the root of `all`, and resolves with how many of the wanted connections are granted */
  constructor(parts: ClaimParts, claim: (claim: ConnectionClaim) => Promise<number>) {
    this.#parts = parts;
    this.#claim = claim;
  }

  /** @param held connections that hibernated with this object */
  start(held: number): void {
    this.#held = held;
    this.#known = rowOf(this.#parts.runtime.store.get(TOLD), isNumber) ?? 0;
    this.#report();
  }

  /** Claims one more connection. While the root of `all` doesn't answer, it is admitted. */
  admit(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#pending.push(resolve);
      this.#report();
    });
  }

  /** Releases the claim of an admitted connection. */
  release(): void {
    this.#held -= 1;
    this.#report();
  }

  /** Claims all connections again, whatever the root of `all` knows. */
  recount(): void {
    this.#known = Number.NaN;
    this.#report();
  }

  /** Tells the root of `all` what it doesn't know. */
  #report(): void {
    if (this.#isAsking || this.isKnown) return;
    this.#isAsking = true;
    this.#parts.runtime.keep(this.#untilKnown());
  }

  /** Whether the root of `all` knows all claims. */
  get isKnown(): boolean {
    return this.#pending.length === 0 && this.#known === this.#held;
  }

  async #untilKnown(): Promise<void> {
    // Changes of the same turn go together.
    await undefined;
    try {
      while (!this.isKnown) await retry(this.#parts.runtime, () => this.#claimAll());
    } catch {
      this.#admit(this.#pending.splice(0), Number.POSITIVE_INFINITY);
      this.#parts.outage.goOn();
    } finally {
      this.#isAsking = false;
    }
  }

  async #claimAll(): Promise<void> {
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const wanted = this.#pending.length;
    const claim = { from: this.#parts.runtime.name, number: this.#newest, held: this.#held, wanted };
    // If the call fails, the root of `all` may or may not have executed it.
    this.#known = Number.NaN;
    const granted = await this.#claim(claim);
    this.#known = claim.held + granted;
    if (this.#known === 0) this.#parts.runtime.store.delete(TOLD);
    else this.#parts.runtime.store.put(TOLD, this.#known);
    this.#admit(this.#pending.splice(0, wanted), granted);
  }

  #admit(pending: ((admitted: boolean) => void)[], granted: number): void {
    this.#held += Math.min(pending.length, granted);
    for (const [i, answer] of pending.entries()) answer(i < granted);
  }
}
