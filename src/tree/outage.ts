/** Tracks an outage of the root of `all`: the longer it lasts, the less often objects ask again. */
import { isNumber } from "../runtime/rows.ts";
import type { Keeper } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { isDue, type PendingRetry, postpone, retryAt } from "./retry.ts";

export class Outage {
  readonly #parts: CoreParts;
  #pending: PendingRetry | undefined;

  constructor(parts: CoreParts) {
    this.#parts = parts;
  }

  /** Restores an outage that began before the object hibernated. */
  start(): void {
    const since = persistedIn(this.#parts.connections);
    if (since !== undefined) this.#pending = { since, next: undefined };
  }

  /** The root of `all` has a question to answer. */
  begin(): void {
    this.#pending ??= { since: this.#parts.runtime.now(), next: undefined };
    const { since } = this.#pending;
    if (persistedIn(this.#parts.connections) !== since) this.#parts.connections.keep({ outageSince: since });
  }

  /** The root of `all` didn't answer: schedules the next attempt. */
  goOn(): void {
    this.begin();
    if (this.#pending) postpone(this.#pending, this.#parts.runtime.now());
    this.#parts.schedule.due(this.askAgainAt);
    this.#parts.schedule.stay();
  }

  /** The root of `all` has answered every question. */
  end(): void {
    this.#pending = undefined;
    if (persistedIn(this.#parts.connections) !== undefined) this.#parts.connections.keep({ outageSince: undefined });
  }

  /** Whether it may be asked now. */
  get mayAsk(): boolean {
    return this.#pending === undefined || isDue(this.#pending, this.#parts.runtime.now());
  }

  /** When to ask it again, in milliseconds since 1970; infinite if no question is left. */
  get askAgainAt(): number {
    return this.#pending ? retryAt(this.#pending, this.#parts.runtime.now()) : Number.POSITIVE_INFINITY;
  }
}

function persistedIn({ kept }: Keeper): number | undefined {
  return kept && "outageSince" in kept && isNumber(kept.outageSince) ? kept.outageSince : undefined;
}
