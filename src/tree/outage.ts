/** Tracks an outage of the root of `all`: the longer it lasts, the less often objects ask again. */
import { isNumber } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { isDue, type PendingRetry, postpone, retryAt } from "./retry.ts";

export class Outage {
  readonly #keeper: Keeper;
  readonly #now: () => number;
  readonly #schedule: Pick<Schedule, "due" | "stay">;
  #pending: PendingRetry | undefined;

  /** @param keeper persists when the outage began, without a row */
  constructor({ now }: Pick<Runtime, "now">, keeper: Keeper, schedule: Pick<Schedule, "due" | "stay">) {
    this.#keeper = keeper;
    this.#now = now;
    this.#schedule = schedule;
  }

  /** Restores an outage that began before the object hibernated. */
  start(): void {
    const since = persistedIn(this.#keeper);
    if (since !== undefined) this.#pending = { since, next: undefined };
  }

  /** The root of `all` has a question to answer. */
  begin(): void {
    this.#pending ??= { since: this.#now(), next: undefined };
    const { since } = this.#pending;
    if (persistedIn(this.#keeper) !== since) this.#keeper.keep({ outageSince: since });
  }

  /** The root of `all` didn't answer: schedules the next attempt. */
  goOn(): void {
    this.begin();
    if (this.#pending) postpone(this.#pending, this.#now());
    this.#schedule.due(this.askAgainAt);
    this.#schedule.stay();
  }

  /** The root of `all` has answered every question. */
  end(): void {
    this.#pending = undefined;
    if (persistedIn(this.#keeper) !== undefined) this.#keeper.keep({ outageSince: undefined });
  }

  /** Whether it may be asked now. */
  get mayAsk(): boolean {
    return this.#pending === undefined || isDue(this.#pending, this.#now());
  }

  /** When to ask it again, in milliseconds since 1970; infinite if no question is left. */
  get askAgainAt(): number {
    return this.#pending ? retryAt(this.#pending, this.#now()) : Number.POSITIVE_INFINITY;
  }
}

function persistedIn({ kept }: Keeper): number | undefined {
  return kept && "outageSince" in kept && isNumber(kept.outageSince) ? kept.outageSince : undefined;
}
