/**
 * What one object counts of the doings of its own sockets. When its link to `all` ends, it hands its
 * totals over to the root of `all` in a farewell. That names the link (by its epoch, here called the
 * period) under which things were counted, and the root takes it exactly once: when it removes its
 * record of that very link.
 */
import type { Store } from "./links.ts";

const COUNTERS = [
  "rejected",
  "connections",
  "announcements",
  "messages",
  "subscribes",
  "unsubscribes",
  "pings",
] as const;

/** Things counted since the beginning. */
export type Totals = Record<(typeof COUNTERS)[number], number>;

/** Totals of one object during one link to `all`, and the most sockets that it held at one time. */
export interface Farewell {
  period: number;
  totals: Totals;
  peak: number;
}

/** What one object says of itself. */
export interface Figures {
  totals: Totals;
  /** Figures whose handing-over is in doubt; they count if the root still has that link's record. */
  farewell: Farewell | undefined;
  connections: number;
  peak: number;
  subscriptions: number;
  /** Subscriptions other than to `all`. */
  requested: number;
  /** Names of the channels subscribed to. */
  channels: string[];
  /** Objects that hold connections. */
  objects: number;
  /** Objects that did not answer; nothing of theirs is counted. */
  unreachable: number;
}

/** Totals of nothing. */
export function noTotals(): Totals {
  return {
    rejected: 0,
    connections: 0,
    announcements: 0,
    messages: 0,
    subscribes: 0,
    unsubscribes: 0,
    pings: 0,
  };
}

/** Adds `from` to `to`. */
export function add(to: Totals, from: Totals): void {
  for (const counter of COUNTERS) to[counter] += from[counter];
}

interface Counted {
  /** The epoch of the link to `all` that these belong to; undefined before it is there. */
  period: number | undefined;
  totals: Totals;
  peak: number;
  /** What has been handed over, until the root is known to have it. */
  farewell: Farewell | undefined;
}

const COUNTED = "counted";

/** The figures of one object. */
export class Stats {
  readonly #store: Store;
  readonly #counted: Counted;
  #changed = false;

  constructor(store: Store) {
    this.#store = store;
    this.#counted = store.get<Counted>(COUNTED) ?? {
      period: undefined,
      totals: noTotals(),
      peak: 0,
      farewell: undefined,
    };
  }

  /** The figures as they are to be told, with `connections` sockets held now. */
  figures(connections: number): Pick<Figures, "totals" | "farewell" | "peak"> {
    const { totals, farewell, peak } = this.#counted;
    return { totals, farewell, peak: Math.max(peak, connections) };
  }

  count(counter: keyof Totals, n = 1): void {
    this.#counted.totals[counter] += n;
    this.#changed = true;
  }

  /** Notes that `connections` sockets are held now. */
  holds(connections: number): void {
    if (connections <= this.#counted.peak) return;
    this.#counted.peak = connections;
    this.#changed = true;
  }

  /** The most sockets that were held at one time; begins anew with the `connections` held now. */
  takePeak(connections: number): number {
    const { peak } = this.#counted;
    if (peak !== connections) {
      this.#counted.peak = connections;
      this.#changed = true;
    }
    return peak;
  }

  /** Makes a farewell of what was counted under a link to `all` asked for up to `epoch`: it has ended. */
  end(epoch: number): void {
    const { period, totals, peak } = this.#counted;
    if (period === undefined || period > epoch) return;
    this.#counted.farewell = { period, totals, peak };
    this.#counted.period = undefined;
    this.#counted.totals = noTotals();
    this.#counted.peak = 0;
    this.#write();
  }

  /** What is to be handed over, until the root is known to have it. */
  get farewell(): Farewell | undefined {
    return this.#counted.farewell;
  }

  /** The root has that farewell. */
  farewellKept({ period }: Farewell): void {
    if (this.#counted.farewell?.period !== period) return;
    this.#counted.farewell = undefined;
    this.#write();
  }

  /** From now on figures belong to the link to `all` with this epoch. */
  begin(period: number): void {
    this.#counted.period = Math.max(period, this.#counted.period ?? 0);
    this.#write();
  }

  /** Takes over the totals of an object whose link has ended. */
  keep({ totals }: Farewell): void {
    add(this.#counted.totals, totals);
    this.#write();
  }

  /** Writes the figures to storage if they have changed. */
  save(): void {
    if (this.#changed) this.#write();
  }

  /** Storage holds nothing while there is nothing to remember. */
  #write(): void {
    this.#changed = false;
    const { totals, farewell } = this.#counted;
    const empty = farewell === undefined && COUNTERS.every((counter) => totals[counter] === 0);
    if (empty && this.#counted.period === undefined) this.#store.delete(COUNTED);
    else this.#store.put(COUNTED, this.#counted);
  }

  get changed(): boolean {
    return this.#changed;
  }
}
