/**
 * What one object counts of the doings of its own sockets. When its link to `all` ends, it hands its
 * totals over to the root of `all`.
 */
import type { Figures, Handover, Tally, Totals } from "../runtime/calls.ts";
import { isNumber, isRecord, rowOf } from "../runtime/rows.ts";
import type { Keeper, Runtime, Store } from "../runtime/runtime.ts";
import { isTally, type Name } from "./tally.ts";
import { isNothing, isTotals, noTotals, sumOf } from "./totals.ts";

/** What is remembered, in storage under `counted` or elsewhere: where it is newest. */
interface CountedRow {
  /** Rises each time that this is remembered anywhere. */
  revision: number;
  /** When it was written to storage last, in milliseconds since 1970; undefined if it never was. */
  saved?: number | undefined;
  /** The epoch of the link to `all` that these belong to; undefined before it is there. */
  period: number | undefined;
  totals: Totals;
  /** The most sockets held at one time. */
  peak: number;
  /** What has been handed over, until the root is known to have it. */
  handover: Handover | undefined;
}

function isCountedRow(row: unknown): row is CountedRow {
  if (!isRecord(row) || !isNumber(row.revision) || !isTotals(row.totals) || !isNumber(row.peak)) return false;
  const { period, handover, saved } = row;
  if (period !== undefined && !isNumber(period)) return false;
  return (handover === undefined || isHandover(handover)) && (saved === undefined || isNumber(saved));
}

function isHandover(value: unknown): value is Handover {
  return isRecord(value) && isNumber(value.period) && isTotals(value.totals) && isNumber(value.peak);
}

const COUNTED = "counted";

/** From how many calls on an object without connections tells of them: so it makes hardly more for that. */
const WORTH_TELLING = 20;

/** How often figures are written to storage at most, while there are sockets to keep them: each minute. */
const SAVED_EACH = 60_000;

export class Counters {
  readonly #store: Store;
  readonly #keeper: Keeper;
  readonly #now: () => number;
  readonly #counted: CountedRow;
  readonly #onNote: (name: Name) => void;
  /** Whether storage does not have all of it: of what `info` tells, and of the rest. */
  #changed = false;
  #noted = false;
  /** Of the rest only this is told: what may be forgotten would make figures fall. */
  #kept: Tally | undefined;

  /** @param onNote told of each name that is noted */
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
    const kept = keptIn(keeper);
    const nothing = { revision: 0, period: undefined, totals: noTotals(), peak: 0, handover: undefined };
    this.#changed = kept !== undefined && kept.revision > (row?.revision ?? 0);
    this.#counted = (this.#changed ? kept : row) ?? nothing;
    this.#noteKept();
  }

  /** The figures as they are to be told, with `connections` sockets held now. */
  figures(connections: number): Pick<Figures, "totals" | "handover" | "peak"> {
    const { totals, handover, peak } = this.#counted;
    return { totals: { ...totals, others: this.#kept }, handover, peak: Math.max(peak, connections) };
  }

  count(counter: Exclude<keyof Totals, "others">, n = 1): void {
    if (n === 0) return;
    this.#counted.totals[counter] += n;
    this.#changed = true;
  }

  /** Counts what only who runs the service wants to know: no row is written for that alone. */
  note(name: Name, n = 1): void {
    const { totals } = this.#counted;
    totals.others ??= {};
    totals.others[name] = (totals.others[name] ?? 0) + n;
    this.#noted = true;
    this.#onNote(name);
  }

  /**
   * Takes out what belongs to nobody: an object that has no connections, and so no link to the root of `all`, has
   * to tell it at once. Undefined if that is not worth it, or is to be handed over with a link.
   */
  takeUnowned(): Totals | undefined {
    const { period, totals } = this.#counted;
    const isMuch = !isNothing(totals) || callsIn(totals) >= WORTH_TELLING;
    if (period !== undefined || !isMuch) return undefined;
    this.#counted.totals = noTotals();
    this.#noted = false;
    this.#kept = undefined;
    if (this.#store.get(COUNTED) === undefined) this.#changed = false;
    else this.#write();
    return totals;
  }

  /** Adds what an object has told that has no link to `all`. */
  add(totals: Totals): void {
    this.#counted.totals = sumOf(this.#counted.totals, totals);
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

  /** Writes the figures to storage if they have changed, and that was not done a short while ago. */
  save(): void {
    const { saved = 0 } = this.#counted;
    if (this.#changed && this.#now() >= saved + SAVED_EACH) this.#write();
  }

  /** Has the figures outlive sleep. */
  settle(): void {
    this.save();
    if (!this.#changed && !this.#noted) return;
    this.#counted.revision += 1;
    const { counted, others } = apart(this.#counted);
    if (!this.#keeper.keep({ counted })) {
      if (this.#changed) this.#write();
    } else if (this.#keeper.keep({ others })) this.#noteKept();
  }

  #noteKept(): void {
    const { others } = this.#counted.totals;
    this.#kept = others && { ...others };
  }

  /** Storage holds nothing while there is nothing to remember. */
  #write(): void {
    this.#changed = this.#noted = false;
    this.#counted.saved = this.#now();
    this.#counted.revision += 1;
    const { totals, handover, period } = this.#counted;
    const isEmpty = period === undefined && !handover && isNothing(totals);
    if (isEmpty) this.#store.delete(COUNTED);
    else this.#store.put(COUNTED, this.#counted);
    this.#noteKept();
  }
}

/** What only who runs the service wants to know, of the totals of a row. */
interface Others {
  own?: Tally | undefined;
  handedOver?: Tally | undefined;
}

/** What a keeper may have less room for, apart from the rest. */
function apart(row: CountedRow): { counted: CountedRow; others: Others } {
  const { totals, handover } = row;
  const others = { own: totals.others, handedOver: handover?.totals.others };
  return { counted: withOthers(row, {}), others };
}

function withOthers(row: CountedRow, { own, handedOver }: Others): CountedRow {
  const { totals, handover } = row;
  return {
    ...row,
    totals: { ...totals, others: own },
    handover: handover && { ...handover, totals: { ...handover.totals, others: handedOver } },
  };
}

/** What an earlier life has had kept. */
function keptIn({ kept }: Keeper): CountedRow | undefined {
  if (!isRecord(kept) || !isCountedRow(kept.counted)) return undefined;
  return withOthers(kept.counted, isOthers(kept.others) ? kept.others : {});
}

function isOthers(value: unknown): value is Others {
  if (!isRecord(value)) return false;
  return [value.own, value.handedOver].every((tally) => tally === undefined || isTally(tally));
}

function callsIn({ others = {} }: Totals): number {
  return Object.entries(others).reduce((sum, [name, n]) => (name.startsWith("calls.") ? sum + n : sum), 0);
}
