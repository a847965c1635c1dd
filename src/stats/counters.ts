/**
 * Counts what one object does. Its counters are part of the service's while it is linked to `all`; when it unlinks, it
 * reports them. Counters are exact as long as nothing fails: a crash loses up to a minute of them, a failed report all of it.
 */
import type { CounterReport, Figures, Tally, Totals } from "../runtime/calls.ts";
import { isNumber, isRecord, rowOf } from "../runtime/rows.ts";
import type { Keeper, Runtime, Store } from "../runtime/runtime.ts";
import { isTally, type Name } from "./tally.ts";
import { isNothing, isTotals, noTotals, sumOf } from "./totals.ts";

/** Counters as stored under `counted`, and in a socket's attachment: the one with the higher revision is newer. */
interface CountedRow {
  revision: number;
  /** When storage was written last, in milliseconds since 1970. */
  saved?: number | undefined;
  totals: Totals;
  /** The most sockets held at a time. */
  peak: number;
}

function isCountedRow(row: unknown): row is CountedRow {
  if (!isRecord(row) || !isNumber(row.revision) || !isTotals(row.totals) || !isNumber(row.peak)) return false;
  return row.saved === undefined || isNumber(row.saved);
}

const COUNTED = "counted";

/** Calls after which an object without connections reports them, so that reports add few calls. */
const CALLS_PER_REPORT = 20;

/** How often counters are stored while there are sockets, in milliseconds. */
const SAVE_INTERVAL = 60_000;

export class Counters {
  readonly #store: Store;
  readonly #keeper: Keeper;
  readonly #now: () => number;
  readonly #row: CountedRow;
  readonly #onNote: (name: Name) => void;
  /** Whether totals that `info` shows have changed since they were persisted. */
  #changed = false;
  /** Whether other totals have. */
  #noted = false;
  /** The persisted part of the other totals. Only that is reported, so that a crash can't make metrics fall. */
  #persisted: Tally | undefined;

  /** @param onNote called with each name that is noted */
  constructor(
    { store, now }: Pick<Runtime, "store" | "now">,
    keeper: Keeper,
    onNote: (name: Name) => void = () => {},
  ) {
    this.#onNote = onNote;
    this.#store = store;
    this.#keeper = keeper;
    this.#now = now;
    const row = rowOf(store.get(COUNTED), isCountedRow);
    const attached = attachedTo(keeper);
    this.#changed = attached !== undefined && attached.revision > (row?.revision ?? 0);
    this.#row = (this.#changed ? attached : row) ?? { revision: 0, totals: noTotals(), peak: 0 };
    this.#notePersisted();
  }

  /** Returns the counters for a report of the service, with `connections` sockets held. */
  figures(connections: number): Pick<Figures, "totals" | "peak"> {
    const { totals, peak } = this.#row;
    return { totals: { ...totals, others: this.#persisted }, peak: Math.max(peak, connections) };
  }

  /** Adds to a counter that `info` shows. */
  count(counter: Exclude<keyof Totals, "others">, n = 1): void {
    if (n === 0) return;
    this.#row.totals[counter] += n;
    this.#changed = true;
  }

  /** Adds to a counter that only metrics show: no row is written for that alone. */
  note(name: Name, n = 1): void {
    const { totals } = this.#row;
    totals.others ??= {};
    totals.others[name] = (totals.others[name] ?? 0) + n;
    this.#noted = true;
    this.#onNote(name);
  }

  /** Returns all counters, and resets them; undefined if there are none. */
  takeReport(): CounterReport | undefined {
    const { totals, peak } = this.#row;
    if (isNothing(totals) && peak === 0 && totals.others === undefined) return undefined;
    this.#row.totals = noTotals();
    this.#row.peak = 0;
    if (this.#store.get(COUNTED) !== undefined) this.#write();
    this.#changed = this.#noted = false;
    this.#notePersisted();
    return { totals, peak };
  }

  /** The same for an object without connections; undefined if they aren't worth a call. */
  takeWorthwhile(): CounterReport | undefined {
    const { totals } = this.#row;
    return isNothing(totals) && callsIn(totals) < CALLS_PER_REPORT ? undefined : this.takeReport();
  }

  /** Adds the counters of another object. */
  add(totals: Totals): void {
    this.#row.totals = sumOf(this.#row.totals, totals);
    this.#changed = true;
  }

  /** Notes that `connections` sockets are held. */
  holds(connections: number): void {
    if (connections <= this.#row.peak) return;
    this.#row.peak = connections;
    this.#changed = true;
  }

  /** Returns the most sockets that were held at a time, and resets that. */
  takePeak(): number {
    const { peak } = this.#row;
    this.#row.peak = 0;
    if (peak > 0) this.#changed = true;
    return peak;
  }

  /** Stores the counters if they have changed and the interval is over. */
  save(): void {
    const { saved = 0 } = this.#row;
    if (this.#changed && this.#now() >= saved + SAVE_INTERVAL) this.#write();
  }

  /** Has the counters outlive hibernation. */
  settle(): void {
    this.save();
    if (!this.#changed && !this.#noted) return;
    this.#row.revision += 1;
    const { others, ...totals } = this.#row.totals;
    if (!this.#keeper.keep({ counted: { ...this.#row, totals } })) {
      if (this.#changed) this.#write();
    } else if (this.#keeper.keep({ others: { own: others } })) this.#notePersisted();
  }

  #notePersisted(): void {
    const { others } = this.#row.totals;
    this.#persisted = others && { ...others };
  }

  /** Stores the counters, or deletes their row if all are zero. */
  #write(): void {
    this.#changed = this.#noted = false;
    this.#row.saved = this.#now();
    this.#row.revision += 1;
    if (isNothing(this.#row.totals)) this.#store.delete(COUNTED);
    else this.#store.put(COUNTED, this.#row);
    this.#notePersisted();
  }
}

/** Returns the counters in a socket's attachment. */
function attachedTo({ kept }: Keeper): CountedRow | undefined {
  if (!isRecord(kept) || !isCountedRow(kept.counted)) return undefined;
  const others = isRecord(kept.others) && isTally(kept.others.own) ? kept.others.own : undefined;
  return { ...kept.counted, totals: { ...kept.counted.totals, others } };
}

function callsIn({ others = {} }: Totals): number {
  return Object.entries(others).reduce((sum, [name, n]) => (name.startsWith("calls.") ? sum + n : sum), 0);
}
