/**
 * What one object counts of the doings of its own sockets. When its link to `all` ends, it hands its
 * totals over to the root of `all`.
 */
import type { Figures, Handover, Totals } from "../links/messages.ts";
import { isNumber, isRecord, rowOf } from "../links/rows.ts";
import type { Accounts } from "../links/upstream.ts";
import type { Store } from "../links/world.ts";
import { isTotals, noTotals, sumOf } from "./totals.ts";

/** What storage remembers, under `counted`. */
interface CountedRow {
  /** The epoch of the link to `all` that these belong to; undefined before it is there. */
  period: number | undefined;
  totals: Totals;
  /** The most sockets held at one time. */
  peak: number;
  /** What has been handed over, until the root is known to have it. */
  handover: Handover | undefined;
}

function isCountedRow(row: unknown): row is CountedRow {
  if (!isRecord(row) || !isTotals(row.totals) || !isNumber(row.peak)) return false;
  const { period, handover } = row;
  return (period === undefined || isNumber(period)) && (handover === undefined || isHandover(handover));
}

function isHandover(value: unknown): value is Handover {
  return isRecord(value) && isNumber(value.period) && isTotals(value.totals) && isNumber(value.peak);
}

const COUNTED = "counted";

export class Counters implements Accounts {
  readonly #store: Store;
  readonly #counted: CountedRow;
  #changed = false;

  constructor(store: Store) {
    this.#store = store;
    const nothing = { period: undefined, totals: noTotals(), peak: 0, handover: undefined };
    this.#counted = rowOf(store.get(COUNTED), isCountedRow) ?? nothing;
  }

  /** The figures as they are to be told, with `connections` sockets held now. */
  figures(connections: number): Pick<Figures, "totals" | "handover" | "peak"> {
    const { totals, handover, peak } = this.#counted;
    return { totals: { ...totals }, handover, peak: Math.max(peak, connections) };
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

  /** The most sockets that were held at one time; begins anew, with none. */
  takePeak(): number {
    const { peak } = this.#counted;
    this.#counted.peak = 0;
    if (peak > 0) this.#changed = true;
    return peak;
  }

  begin(period: number): void {
    this.#counted.period = Math.max(period, this.#counted.period ?? 0);
    this.#write();
  }

  end(epoch: number): void {
    const { period, totals, peak } = this.#counted;
    if (period === undefined || period > epoch) return;
    this.#counted.handover = { period, totals, peak };
    this.#counted.period = undefined;
    this.#counted.totals = noTotals();
    this.#counted.peak = 0;
    this.#write();
  }

  get handover(): Handover | undefined {
    return this.#counted.handover;
  }

  handedOver({ period }: Handover): void {
    if (this.#counted.handover?.period !== period) return;
    this.#counted.handover = undefined;
    this.#write();
  }

  /** Takes over the totals of an object whose link has ended. */
  takeOver({ totals }: Handover): void {
    this.#counted.totals = sumOf(this.#counted.totals, totals);
    this.#write();
  }

  /** Writes the figures to storage if they have changed. */
  save(): void {
    if (this.#changed) this.#write();
  }

  /** Storage holds nothing while there is nothing to remember. */
  #write(): void {
    this.#changed = false;
    const { totals, handover, period } = this.#counted;
    const isEmpty = period === undefined && !handover && Object.values(totals).every((total) => total === 0);
    if (isEmpty) this.#store.delete(COUNTED);
    else this.#store.put(COUNTED, this.#counted);
  }
}
