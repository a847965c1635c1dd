/** Waits for messages with known positions to arrive over this object's links. */
import type { Runtime } from "../runtime/runtime.ts";

/**
 * The longest time that this may take, in milliseconds. By then, the parent has given up its retries and reported a
 * loss, unless it doesn't know about the link.
 */
export const ARRIVAL_TIMEOUT = 100_000;

interface Waiter {
  position: number;
  /** The start time, in milliseconds since 1970. */
  since: number;
  resolve: () => void;
}

export class PositionWaiters {
  readonly #now: () => number;
  readonly #byChannel = new Map<string, Waiter[]>();

  constructor({ now }: Pick<Runtime, "now">) {
    this.#now = now;
  }

  /** Resolves when the message of a channel has arrived, or when `releaseAll` is called. */
  wait(channel: string, position: number): Promise<void> {
    const waiters = this.#byChannel.get(channel) ?? [];
    this.#byChannel.set(channel, waiters);
    return new Promise((resolve) => waiters.push({ position, since: this.#now(), resolve }));
  }

  /** Resolves waiters whose positions are at most `last`, the newest position that has arrived. */
  reach(channel: string, last: number): void {
    const waiters = this.#byChannel.get(channel);
    if (!waiters) return;
    for (const { position, resolve } of waiters) if (position <= last) resolve();
    const left = waiters.filter(({ position }) => position > last);
    if (left.length > 0) this.#byChannel.set(channel, left);
    else this.#byChannel.delete(channel);
  }

  /** Resolves all waiters of a channel, because its link has ended. */
  releaseAll(channel: string): void {
    this.reach(channel, Number.POSITIVE_INFINITY);
  }

  /** Whether there are any waiters. */
  get hasAny(): boolean {
    return this.#byChannel.size > 0;
  }

  /** The channels with waiters that have timed out. */
  get overdue(): string[] {
    const since = this.#now() - ARRIVAL_TIMEOUT;
    const isOverdue = (waiter: Waiter) => waiter.since <= since;
    return [...this.#byChannel].flatMap(([channel, waiters]) => (waiters.some(isOverdue) ? [channel] : []));
  }
}
