/** Those who wait for messages that have their position to arrive here. */
import type { Runtime } from "../runtime/runtime.ts";

/**
 * How long that may take, in milliseconds. The object that delivers has tried again often enough by then, and has said
 * that messages are missing; unless it does not know that it is to deliver here.
 */
export const ARRIVAL_TIMEOUT = 100_000;

interface Waiting {
  position: number;
  /** In milliseconds since 1970. */
  since: number;
  arrived: () => void;
}

export class PositionWaiters {
  readonly #now: () => number;
  readonly #byChannel = new Map<string, Waiting[]>();

  constructor({ now }: Pick<Runtime, "now">) {
    this.#now = now;
  }

  /** Resolves when a message of a channel has arrived, or `giveUp` says that it never will. */
  wait(channel: string, position: number): Promise<void> {
    const waiting = this.#byChannel.get(channel) ?? [];
    this.#byChannel.set(channel, waiting);
    return new Promise((arrived) => waiting.push({ position, since: this.#now(), arrived }));
  }

  /** The messages of a channel up to a position have arrived. */
  reach(channel: string, last: number): void {
    const waiting = this.#byChannel.get(channel);
    if (!waiting) return;
    for (const { position, arrived } of waiting) if (position <= last) arrived();
    const left = waiting.filter(({ position }) => position > last);
    if (left.length > 0) this.#byChannel.set(channel, left);
    else this.#byChannel.delete(channel);
  }

  /** No more messages of a channel will arrive by the link that there was. */
  releaseAll(channel: string): void {
    this.reach(channel, Number.POSITIVE_INFINITY);
  }

  /** Whether any are waited for. */
  get hasAny(): boolean {
    return this.#byChannel.size > 0;
  }

  /** The channels of which messages are too late. */
  get overdue(): string[] {
    const since = this.#now() - ARRIVAL_TIMEOUT;
    const isLate = (waiting: Waiting) => waiting.since <= since;
    return [...this.#byChannel].flatMap(([channel, waiting]) => (waiting.some(isLate) ? [channel] : []));
  }
}
