/** What an object claims at the root of `all` for its own connections, where their number is limited. */
import type { Claim } from "../runtime/calls.ts";
import { isNumber, rowOf } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { retry } from "../tree/retry.ts";

const TOLD = "told";

export interface ClaimEvents {
  /** Makes a claim at the root of `all`; says how many of those that want to be let in may be. */
  claim(claim: Claim): Promise<number>;
  /** That does not answer: `recount` is to be called later. */
  unfinished(): void;
}

export class Claims {
  readonly #runtime: Runtime;
  readonly #events: ClaimEvents;
  #held: number;
  #told: number;
  #newest = 0;
  #waiting: ((admitted: boolean) => void)[] = [];
  #asking = false;

  /** @param held connections that are there already */
  constructor(runtime: Runtime, held: number, events: ClaimEvents) {
    this.#runtime = runtime;
    this.#held = held;
    this.#events = events;
    this.#told = rowOf(runtime.store.get(TOLD), isNumber) ?? 0;
    this.#report();
  }

  /** Asks for one more connection. While there is no answer to be had it is admitted. */
  admit(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#report();
    });
  }

  /** One that was admitted has gone. */
  release(): void {
    this.#held -= 1;
    this.#report();
  }

  /** Claims anew, whatever the root of `all` knows. */
  recount(): void {
    this.#told = Number.NaN;
    this.#report();
  }

  /** Tells the root of `all` what it does not know yet. */
  #report(): void {
    if (this.#asking || this.isKnown) return;
    this.#asking = true;
    this.#runtime.keep(this.#untilKnown());
  }

  /** Whether the root of `all` knows all that there is to know. */
  get isKnown(): boolean {
    return this.#waiting.length === 0 && this.#told === this.#held;
  }

  async #untilKnown(): Promise<void> {
    // What changes in the same turn goes out together.
    await undefined;
    try {
      while (!this.isKnown) await retry(this.#runtime, () => this.#claim());
    } catch {
      this.#admit(this.#waiting.splice(0), Number.POSITIVE_INFINITY);
      this.#events.unfinished();
    } finally {
      this.#asking = false;
    }
  }

  async #claim(): Promise<void> {
    this.#newest = Math.max(this.#newest + 1, this.#runtime.now());
    const asking = this.#waiting.length;
    const claim = { from: this.#runtime.name, number: this.#newest, held: this.#held, wanted: asking };
    // Until it is answered nobody knows what the root of `all` has been told.
    this.#told = Number.NaN;
    const granted = await this.#events.claim(claim);
    this.#told = claim.held + granted;
    if (this.#told === 0) this.#runtime.store.delete(TOLD);
    else this.#runtime.store.put(TOLD, this.#told);
    this.#admit(this.#waiting.splice(0, asking), granted);
  }

  #admit(asking: ((admitted: boolean) => void)[], granted: number): void {
    this.#held += Math.min(asking.length, granted);
    for (const [i, answer] of asking.entries()) answer(i < granted);
  }
}
