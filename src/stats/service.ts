/**
 * Totals of the whole service, at the root of `all`. Every object with sockets is linked to that root, and reports its
 * counters to it.
 */
import type { CounterReport, Figures, ServiceFigures } from "../runtime/calls.ts";
import { type Checked, isNumber, rowOf, shape } from "../runtime/rows.ts";
import type { Store } from "../runtime/runtime.ts";
import { countByHashes } from "./distinct.ts";
import { isTotals, noTotals, sumOf } from "./totals.ts";

/** The row stored under `service`. */
type ServiceRow = Checked<typeof isServiceRow>;

const isServiceRow = shape({
  /** Milliseconds since 1970. */
  since: isNumber,
  /** An estimate of the most connections at one time. */
  peak: isNumber,
  /** Counters of objects that have unlinked. */
  totals: isTotals,
});

const SERVICE = "service";

export class Service {
  readonly #store: Store;
  #row: ServiceRow = { since: 0, peak: 0, totals: noTotals() };

  constructor(store: Store) {
    this.#store = store;
  }

  /** Restores the row; a service without one was first used `now`, in milliseconds since 1970. */
  start(now: number): void {
    this.#row = rowOf(this.#store.get(SERVICE), isServiceRow) ?? { ...this.#row, since: now };
  }

  /** Records that the service is in use, and updates its peak. */
  note(connections: number): void {
    if (connections <= this.#row.peak && this.#store.get(SERVICE) !== undefined) return;
    this.#row.peak = Math.max(this.#row.peak, connections);
    this.#write();
  }

  /** Adds the counters of an object that has unlinked, while other objects had `others` connections. */
  add({ totals, peak }: CounterReport, others: number): void {
    this.#row.totals = sumOf(this.#row.totals, totals);
    this.#row.peak = Math.max(this.#row.peak, peak + others);
    this.#write();
  }

  /** Returns the figures of the whole service, from the sum of all linked objects. */
  figures(linked: Figures): ServiceFigures {
    this.note(linked.peak);
    const { since, peak, totals } = this.#row;
    return {
      ...linked,
      since,
      peak,
      totals: sumOf(totals, linked.totals),
      channels: countByHashes(linked.channels),
    };
  }

  #write(): void {
    this.#store.put(SERVICE, this.#row);
  }
}
