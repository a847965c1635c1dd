/** For how long the root of `all` has not answered: the longer, the more rarely it is asked again. */

import { isNumber } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import { isDue, type PendingRetry, postpone, retryAt } from "../tree/retry.ts";

export class Outage {
  readonly #keeper: Keeper;
  readonly #now: () => number;
  #pendingRetry: PendingRetry | undefined;

  /** @param keeper has it outlive sleep, without a row */
  constructor(keeper: Keeper, { now }: Pick<Runtime, "now">) {
    this.#keeper = keeper;
    this.#now = now;
    const since = sinceIn(keeper);
    if (since !== undefined) this.#pendingRetry = { since, next: undefined };
  }

  /** The root of `all` is to be asked something, which is not answered yet. */
  begin(): void {
    this.#pendingRetry ??= { since: this.#now(), next: undefined };
    const { since } = this.#pendingRetry;
    if (sinceIn(this.#keeper) !== since) this.#keeper.keep({ outageSince: since });
  }

  /** It does not answer. */
  goOn(): void {
    this.begin();
    if (this.#pendingRetry) postpone(this.#pendingRetry, this.#now());
  }

  /** It has answered all that there was to ask. */
  end(): void {
    this.#pendingRetry = undefined;
    if (sinceIn(this.#keeper) !== undefined) this.#keeper.keep({ outageSince: undefined });
  }

  /** Whether to ask it now. */
  get isOver(): boolean {
    return this.#pendingRetry === undefined || isDue(this.#pendingRetry, this.#now());
  }

  /** When to ask it again, in milliseconds since 1970; infinite if there is nothing to ask. */
  get askAgainAt(): number {
    return this.#pendingRetry ? retryAt(this.#pendingRetry, this.#now()) : Number.POSITIVE_INFINITY;
  }
}

function sinceIn({ kept }: Keeper): number | undefined {
  return kept && "outageSince" in kept && isNumber(kept.outageSince) ? kept.outageSince : undefined;
}
