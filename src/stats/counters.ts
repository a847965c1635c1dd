/**
 * Counts what one object does. Its counters are part of the service's while it is linked to `all`; when it unlinks, it
 * reports them. Counters are exact as long as nothing fails: a crash loses up to a minute of them, a failed report all of it.
 */
import type { CounterReport, Figures, Tally, Totals } from "../runtime/calls.ts";
import { isNumber, isRecord, optional, rowOf, shape } from "../runtime/rows.ts";
import type { Keeper, LogDetails, Runtime } from "../runtime/runtime.ts";
import { isTally, type Name, sumOfTallies } from "./tally.ts";
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

const isCountedRow: (row: unknown) => row is CountedRow = shape({
  revision: isNumber,
  saved: optional(isNumber),
  totals: isTotals,
  peak: isNumber,
});

const COUNTED = "counted";

/** Calls after which an object without connections reports them, so that reports add few calls. */
const CALLS_PER_REPORT = 20;

/** How often counters are stored while there are sockets, in milliseconds. */
const SAVE_INTERVAL = 60_000;

type Parts = { readonly runtime: Pick<Runtime, "store" | "now">; readonly connections: Keeper };

export class Counters {
  readonly #parts: Parts;
  readonly #log: (name: Name, details?: LogDetails) => void;
  /** Events that only metrics show, by names known in advance: so no client can make their number grow. */
  #events: Tally = {};
  /** Whether events were counted since they were persisted. */
  #haveEventsChanged = false;
  /** Its totals don't include the event counters until it is written. */
  #row: CountedRow = { revision: 0, totals: noTotals(), peak: 0 };
  /** Whether totals have changed since they were persisted. */
  #changed = false;
  /** The persisted event counters. Only they are reported, so that a crash can't make metrics fall. */
  #persisted: Tally | undefined;

  /** @param log logs the events that operators look for */
  constructor(parts: Parts, log: (name: Name, details?: LogDetails) => void) {
    this.#parts = parts;
    this.#log = log;
  }

  /** Restores the counters from storage or a socket's attachment. */
  start(): void {
    const row = rowOf(this.#parts.runtime.store.get(COUNTED), isCountedRow);
    const attached = attachedTo(this.#parts.connections);
    this.#changed = attached !== undefined && attached.revision > (row?.revision ?? 0);
    const restored = (this.#changed ? attached : row) ?? this.#row;
    const { others, ...totals } = restored.totals;
    this.#row = { ...restored, totals };
    this.#events = sumOfTallies(this.#events, others);
    this.#persisted = others;
  }

  /** Returns the counters for a report of the service, with `connections` sockets held. */
  figures(connections: number): Pick<Figures, "totals" | "peak"> {
    const { totals, peak } = this.#row;
    return { totals: { ...totals, others: this.#reported }, peak: Math.max(peak, connections) };
  }

  /** Adds to a counter that `info` shows. */
  count(counter: Exclude<keyof Totals, "others">, n = 1): void {
    if (n === 0) return;
    this.#row.totals[counter] += n;
    this.#changed = true;
  }

  /**
   * Counts an event that only metrics show: no row is written for that alone.
   * @param details for the log
   */
  note(name: Name, n = 1, details?: LogDetails): void {
    this.#events[name] = (this.#events[name] ?? 0) + n;
    this.#haveEventsChanged = true;
    this.#log(name, details);
  }

  /** Takes all counters, which begin again at zero; undefined if all are zero. */
  takeReport(): CounterReport | undefined {
    const { totals, peak } = this.#row;
    const others = this.#tally;
    if (isNothing(totals) && peak === 0 && others === undefined) return undefined;
    this.#row.totals = noTotals();
    this.#row.peak = 0;
    this.#events = {};
    this.#changed = this.#haveEventsChanged = false;
    this.#persisted = undefined;
    if (this.#parts.runtime.store.get(COUNTED) !== undefined) this.#parts.runtime.store.delete(COUNTED);
    return { totals: { ...totals, ...(others && { others }) }, peak };
  }

  /** The same for an object without connections; undefined if they aren't worth a call. */
  takeWorthwhile(): CounterReport | undefined {
    const haveMembersChanged = countIn(this.#events, "members.") > 0;
    const hasCalled = countIn(this.#events, "calls.") >= CALLS_PER_REPORT;
    const isWorthwhile = !isNothing(this.#row.totals) || haveMembersChanged || hasCalled;
    return isWorthwhile ? this.takeReport() : undefined;
  }

  /** Adds the counters of another object. */
  add(totals: Totals): void {
    const { others, ...sum } = sumOf(this.#row.totals, totals);
    this.#row.totals = sum;
    this.#events = sumOfTallies(this.#events, others);
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
    if (this.#changed && this.#parts.runtime.now() >= saved + SAVE_INTERVAL) this.#write();
  }

  /** Has the counters outlive hibernation. */
  settle(): void {
    this.save();
    if (!this.#changed && !this.#haveEventsChanged) return;
    this.#row.revision += 1;
    if (!this.#parts.connections.keep({ counted: this.#row })) {
      if (this.#changed) this.#write();
    } else if (this.#parts.connections.keep({ others: { own: this.#tally } }))
      this.#persisted = this.#tally && { ...this.#tally };
  }

  /** The events to report. Refused rows are reported even if they aren't persisted, because storage may refuse that too. */
  get #reported(): Tally | undefined {
    const refused = this.#events["rows.refused"];
    return refused === undefined ? this.#persisted : { ...this.#persisted, "rows.refused": refused };
  }

  /** The events; undefined if there were none. */
  get #tally(): Tally | undefined {
    return Object.keys(this.#events).length === 0 ? undefined : this.#events;
  }

  /** Stores the counters, or deletes their row if all are zero. */
  #write(): void {
    this.#changed = this.#haveEventsChanged = false;
    this.#row.saved = this.#parts.runtime.now();
    this.#row.revision += 1;
    const totals = { ...this.#row.totals, others: this.#tally };
    if (isNothing(totals)) this.#parts.runtime.store.delete(COUNTED);
    else this.#parts.runtime.store.put(COUNTED, { ...this.#row, totals });
    this.#persisted = this.#tally && { ...this.#tally };
  }
}

/** Returns the counters in a socket's attachment. */
function attachedTo({ kept }: Keeper): CountedRow | undefined {
  if (!isRecord(kept) || !isCountedRow(kept.counted)) return undefined;
  const others = isRecord(kept.others) && isTally(kept.others.own) ? kept.others.own : undefined;
  return { ...kept.counted, totals: { ...kept.counted.totals, others } };
}

/** Returns how many events with a prefix were counted. */
function countIn(tally: Tally, prefix: string): number {
  return Object.entries(tally).reduce((sum, [name, n]) => (name.startsWith(prefix) ? sum + n : sum), 0);
}
