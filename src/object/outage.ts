/** For how long the root of `all` has not answered: the longer, the more rarely it is asked again. */

import { isNumber } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import { isDue, nextTry, putOff, type Undone } from "../tree/retry.ts";

export class Outage {
  readonly #keeper: Keeper;
  readonly #now: () => number;
  #undone: Undone | undefined;

  /** @param keeper has it outlive sleep, without a row */
  constructor(keeper: Keeper, { now }: Pick<Runtime, "now">) {
    this.#keeper = keeper;
    this.#now = now;
    const since = sinceIn(keeper);
    if (since !== undefined) this.#undone = { since, next: undefined };
  }

  /** The root of `all` is to be asked something, which is not answered yet. */
  begin(): void {
    this.#undone ??= { since: this.#now(), next: undefined };
    const { since } = this.#undone;
    if (sinceIn(this.#keeper) !== since) this.#keeper.keep({ outageSince: since });
  }

  /** It does not answer. */
  goOn(): void {
    this.begin();
    if (this.#undone) putOff(this.#undone, this.#now());
  }

  /** It has answered all that there was to ask. */
  end(): void {
    this.#undone = undefined;
    if (sinceIn(this.#keeper) !== undefined) this.#keeper.keep({ outageSince: undefined });
  }

  /** Whether to ask it now. */
  get isOver(): boolean {
    return this.#undone === undefined || isDue(this.#undone, this.#now());
  }

  /** When to ask it again, in milliseconds since 1970; infinite if there is nothing to ask. */
  get askAgainAt(): number {
    return this.#undone ? nextTry(this.#undone, this.#now()) : Number.POSITIVE_INFINITY;
  }
}

function sinceIn({ kept }: Keeper): number | undefined {
  return kept && "outageSince" in kept && isNumber(kept.outageSince) ? kept.outageSince : undefined;
}
