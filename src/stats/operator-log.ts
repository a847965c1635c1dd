/** What is logged for who runs the service: that something has happened, and how often, but now and then only. */

import type { RawRuntime } from "../runtime/runtime.ts";
import { LOGGED, type Name } from "../stats/tally.ts";

/** How often one thing is logged at most, in milliseconds. */
const LOGGED_EACH = 10_000;

export class Journal {
  readonly #platform: Pick<RawRuntime, "log" | "now" | "refusal">;
  /** Of what has happened: when it was logged last, and how often it has happened since. */
  readonly #noted = new Map<Name, { at: number; times: number }>();

  constructor(platform: Pick<RawRuntime, "log" | "now" | "refusal">) {
    this.#platform = platform;
  }

  /** Something has happened, of which there are few kinds. */
  note(event: Name): void {
    if (!LOGGED.has(event)) return;
    const now = this.#platform.now();
    const { at, times } = this.#noted.get(event) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
    const isDue = now - at >= LOGGED_EACH;
    if (isDue) this.#log(event, times + 1);
    this.#noted.set(event, isDue ? { at: now, times: 0 } : { at, times: times + 1 });
  }

  #log(event: Name, times: number): void {
    const cause = event === "rows.refused" ? this.#platform.refusal?.() : undefined;
    this.#platform.log({ event, times, ...(cause !== undefined && { cause }) });
  }
}
