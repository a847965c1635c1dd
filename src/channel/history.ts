/**
 * Retains a root's newest messages in storage for a while, so that clients that were away miss nothing. New messages
 * are stored as one batch before anything goes out, and the platform holds back output until that write is durable:
 * so no client ever knows of a message or a position that a crash could take back.
 *
 * A position is retained for at least the retention time after it was told last. The row that tells it stays for twice
 * that time, and is written anew if the position is told in the second half of it. So a lone message takes one row,
 * and so do any number of questions soon after it.
 *
 * Where storage refuses new messages, they flow on under numbers far beyond those that storage knows of. The next life
 * goes on from storage, so no position is ever given twice.
 */

import type { Missing } from "../runtime/calls.ts";
import { rowOf } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import { isSegmentRow, piecesOf, SEGMENT, type SegmentRow } from "./history-rows.ts";
import type { Log, Messages, Placed } from "./log.ts";
import { AGED, type Batch, batchOf, type HistoryLimits, Retained } from "./retained.ts";

/** The row that tells the newest position. */
interface Teller {
  slot: number;
  /** When it was written, in milliseconds since 1970. */
  at: number;
  hasMessages: boolean;
}

/** A row that nothing needs, to be written over or deleted. */
interface FreeRow {
  slot: number;
  /** When it was written, in milliseconds since 1970. */
  at: number;
}

/** How far new numbers are beyond others, at least: a later life would need as many messages to reach them. */
const STRIDE = 1_000_000;

/** What the owner of a history is told. */
export interface HistoryEvents {
  /** The newest `count` messages, which haven't been sent, have other positions: the ones after `position`. */
  renumbered(position: number, count: number): void;
}

export class History {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #limits: HistoryLimits;
  readonly #keeper: Keeper;
  readonly #schedule: Pick<Schedule, "due">;
  readonly #events: HistoryEvents;
  readonly #retained: Retained;
  #free: FreeRow[] = [];
  #nextSlot = 0;
  #teller: Teller | undefined;
  /** The position up to which messages were stored, or refused by storage. */
  #stored = 0;
  /** Whether storage has refused the newest position. */
  #isRefused = false;
  /** Whether positions are beyond all that a later life could give. */
  #isAhead = false;
  /** Whether an earlier life may have given positions that storage refused. */
  #isDoubtful = true;

  constructor(
    runtime: Runtime,
    log: Log,
    limits: HistoryLimits,
    keeper: Keeper,
    schedule: Pick<Schedule, "due">,
    events: HistoryEvents,
  ) {
    this.#runtime = runtime;
    this.#keeper = keeper;
    this.#schedule = schedule;
    this.#log = log;
    this.#limits = limits;
    this.#events = events;
    this.#retained = new Retained(log, limits, runtime.now, (slot, at) => {
      if (slot !== this.#teller?.slot) this.#free.push({ slot, at });
    });
  }

  /** Restores the messages that storage has; the log goes on after them. */
  restore(): void {
    this.#isDoubtful = !this.#keeper.hasSlept;
    for (const { slot, row } of rowsIn(this.#runtime)) this.#takeUp(slot, row);
    this.forgetOld();
  }

  /** Whether anything is retained. */
  get isOn(): boolean {
    return this.#limits.historySeconds > 0;
  }

  /** Characters of messages and keys that are retained. */
  get size(): number {
    return this.#retained.size;
  }

  /** The position after which all messages are retained. */
  get start(): number {
    return this.#retained.start ?? this.#stored;
  }

  /** The retained messages: after which position, how many, and how long; undefined if there are none. */
  get kept(): { after: number; count: number; characters: number } | undefined {
    this.forgetOld();
    if (this.#retained.isEmpty) return undefined;
    return { after: this.start, count: this.#stored - this.start, characters: this.size };
  }

  /** How long messages are retained, in milliseconds. */
  get #retention(): number {
    return this.#limits.historySeconds * 1000;
  }

  /**
   * Goes on after a position; nothing from before it is retained.
   * @param isRefused whether storage has refused it
   */
  begin(position: number, isRefused = false): void {
    this.#retained.forgetAll();
    this.#log.begin(position);
    this.#goOnAfter(position);
    this.#isRefused = this.#isAhead = isRefused;
  }

  /** Whether storage has the newest position, or would if there was a reason. */
  get isStored(): boolean {
    return !this.#isRefused;
  }

  /** Returns what was announced under a key; undefined if nothing is known to be. */
  announcedUnder(key: string): Placed | undefined {
    return this.#retained.announcedUnder(key);
  }

  /** Notes the key of what was appended to the log, if it has one. */
  note(placed: Placed): void {
    this.#retained.note(placed);
  }

  // --- what is stored

  /**
   * Stores the messages that aren't stored yet; to be called before anything that tells of them goes out.
   * @param tellsPosition whether the newest position is told, so that it is to be retained from now on
   * @returns whether there was something to store
   */
  store(tellsPosition: boolean): boolean {
    if (!this.isOn) return false;
    if (this.#log.position !== this.#stored) this.#storeMessages();
    else if (tellsPosition && !this.#isLongTold) this.#storePosition();
    else return false;
    this.#lookLater();
    return true;
  }

  /** A client that counted on from the newest position has left, or may have: its position is to be retained for it. */
  keepPosition(): void {
    if (!this.#teller) return;
    this.store(true);
    this.#lookLater();
  }

  /** Has the rows looked at when the newest one may be over, if there are any. */
  #lookLater(): void {
    if (!this.#teller) return;
    const now = this.#runtime.now();
    // With this slack the alarm of a first message does for those that follow it soon.
    const slack = AGED * this.#retention;
    this.#schedule.due(Math.max(Math.min(this.#teller.at, now) + 2 * this.#retention, now) + slack);
  }

  /** Whether the row that tells the position stays for the whole retention time from now on. */
  get #isLongTold(): boolean {
    return this.#teller !== undefined && this.#retained.isWithin(this.#teller.at);
  }

  #storeMessages(): void {
    const position = this.#log.position ?? 0;
    const messages = this.#log.after(this.#stored);
    const batch = batchOf(messages, position, this.#runtime.now(), this.#limits.historyBytes);
    if (batch.after === this.#stored) this.#retained.forgetOld(batch.size);
    else this.#forgetAllBut(batch);
    if (batch.count > 0) this.#storeBatch(batch, position);
    else this.#storePosition();
  }

  #storeBatch(batch: Batch, position: number): void {
    const { open } = this.#retained;
    const slot = open?.slot ?? this.#slot;
    if (this.#put(slot, this.#rowOf(open?.batches ?? [], batch))) {
      this.#retained.add(slot, batch);
      this.#hasStored(position, { slot, at: batch.at, hasMessages: true });
    } else this.#refuse();
  }

  /** Some messages before those of a batch are not retained. */
  #forgetAllBut({ keyed }: Batch): void {
    this.#retained.forgetAll();
    for (const placed of keyed) this.#retained.note(placed);
  }

  /** The row of some batches and one more, of which the newest message is the newest one in the log. */
  #rowOf(batches: readonly Batch[], newest: Batch): SegmentRow {
    const { after } = batches[0] ?? newest;
    const { lines } = this.#log.since(after, Number.POSITIVE_INFINITY);
    const row: SegmentRow = { after, counts: [], times: [], lines, keys: [] };
    for (const batch of batches) addBatch(row, batch);
    addBatch(row, newest);
    return row;
  }

  /** Stores the newest position alone. */
  #storePosition(): void {
    const position = this.#log.position ?? 0;
    const at = this.#runtime.now();
    const slot = this.#slot;
    if (this.#put(slot, { after: position, counts: [0], times: [at], lines: "", keys: [] })) {
      this.#hasStored(position, { slot, at, hasMessages: false });
    } else if (position === this.#stored) this.#isRefused = true;
    else this.#refuse();
  }

  /** The slot of a new row. The row that tells the position is written over when its messages are over. */
  get #slot(): number {
    return (this.#retained.isEmpty ? this.#teller?.slot : undefined) ?? this.#free[0]?.slot ?? this.#nextSlot;
  }

  #put(slot: number, row: SegmentRow): boolean {
    return this.#runtime.store.put(SEGMENT + slot, row);
  }

  #hasStored(position: number, teller: Teller): void {
    this.#stored = position;
    this.#isRefused = this.#isAhead = false;
    this.#nextSlot = Math.max(this.#nextSlot, teller.slot + 1);
    if (this.#free[0]?.slot === teller.slot) this.#free.shift();
    this.#tellBy(teller);
    this.#keepLog();
  }

  #tellBy(teller: Teller | undefined): void {
    const before = this.#teller;
    this.#teller = teller;
    if (before && before.slot !== teller?.slot && !this.#retained.has(before.slot)) this.#free.push(before);
  }

  // --- what storage refuses

  /** Storage has refused the newest messages: they aren't retained, and get numbers that no later life gives. */
  #refuse(): void {
    const last = this.#log.position ?? 0;
    this.#isRefused = true;
    this.#retained.forgetAll();
    if (!this.#isAhead) {
      // By chance, as the clocks of two lives may differ.
      const stride = Math.floor(STRIDE * (1 + this.#runtime.random()));
      const base = Math.max(this.#runtime.now() * 1000, last) + stride;
      this.#isAhead = true;
      this.#log.renumber(this.#stored, base);
      this.#events.renumbered(base, last - this.#stored);
    }
    this.#goOnAfter(this.#log.position ?? 0);
  }

  /** Goes on after a position that no row tells; nothing from before it is retained. */
  #goOnAfter(position: number): void {
    this.#stored = position;
    this.#tellBy(undefined);
    this.#keepLog();
  }

  /**
   * Makes sure that storage takes rows before a client is told that it has missed nothing. Where it doesn't, an earlier
   * life may have announced messages that it could not store: then nothing from before now is retained.
   */
  #prove(): void {
    if (!this.#isDoubtful || this.#runtime.store.hasTaken()) return;
    this.#isDoubtful = false;
    this.forgetOld();
    const { newest } = this.#retained;
    const batch = newest?.batches.at(-1);
    if (!newest || !batch) this.#storePosition();
    else if (this.#put(newest.slot, this.#rowOf(newest.batches.slice(0, -1), batch))) return;
    if (newest || this.#isRefused) this.#refuse();
  }

  /**
   * Stores a position that storage has refused, if it takes rows again.
   * @param isCounted whether clients count on from the newest position: then no row is over
   */
  settle(isCounted: boolean): void {
    if (this.#isRefused) this.store(true);
    if (!isCounted) this.#lookLater();
  }

  // --- what is read

  /** Returns the retained messages after a position, or the newest of them; undefined if nothing is retained. */
  recover({ since, last }: Missing): Messages | undefined {
    if (!this.isOn) return undefined;
    if (since !== undefined) this.#prove();
    this.forgetOld();
    const position = this.#log.position ?? 0;
    const after = Math.max(this.start, Math.min(since ?? position, position - last));
    return this.#log.since(after, Number.POSITIVE_INFINITY);
  }

  // --- what is over

  /** Forgets what is over; it is not read from storage either, even where its row is still there. */
  forgetOld(): void {
    this.#retained.forgetOld();
    this.#keepLog();
  }

  /**
   * Drops rows that are over from storage.
   * @param isCounted whether clients count on from the newest position: then the row that tells it stays
   */
  expire(isCounted: boolean): void {
    this.forgetOld();
    this.#free = this.#free.filter((row) => this.#isReusedSoon(row) || !this.#delete(row.slot));
    const isSettled = this.#retained.isEmpty && this.#log.position === this.#stored;
    if (this.#teller && isSettled) this.#expireTeller(this.#teller, isCounted);
    if (!isCounted || this.#teller?.hasMessages) this.#lookLater();
  }

  /** While messages come, a row that has just become free is soon written over, which saves deleting it. */
  #isReusedSoon({ at }: FreeRow): boolean {
    const age = this.#runtime.now() - at;
    return !this.#retained.isEmpty && age >= 0 && age < (1 + AGED) * this.#retention;
  }

  #expireTeller({ slot, at, hasMessages }: Teller, isCounted: boolean): void {
    const now = this.#runtime.now();
    if (!isCounted && now >= at + 2 * this.#retention) {
      if (this.#delete(slot)) this.#teller = undefined;
    } else if ((isCounted && hasMessages) || at > now) this.#storePosition();
  }

  #delete(slot: number): boolean {
    return this.#runtime.store.delete(SEGMENT + slot);
  }

  /** Links may need more of the log than what is retained. */
  #keepLog(): void {
    if (this.isOn) this.#log.keep(this.start);
  }

  /** Takes up a row of an earlier life. If it doesn't go on from those before it, they are not retained. */
  #takeUp(slot: number, row: SegmentRow): void {
    this.#nextSlot = Math.max(this.#nextSlot, slot + 1);
    if (this.#log.position !== row.after) this.begin(row.after);
    const pieces = piecesOf(row);
    for (const [i, at] of row.times.entries()) {
      const placed = (pieces[i] ?? []).map(({ lines, count, key }) => this.#log.append(lines, count, key));
      for (const one of placed) this.#retained.note(one);
      const batch = batchOf(placed, this.#log.position ?? 0, at, Number.POSITIVE_INFINITY);
      if (batch.count > 0) this.#retained.add(slot, batch);
    }
    this.#stored = this.#log.position ?? 0;
    const at = Math.max(...row.times);
    this.#tellBy({ slot, at, hasMessages: row.lines !== "" });
  }
}

/** The rows of earlier lives, in the order of their positions. */
function rowsIn({ store }: Runtime): { slot: number; row: SegmentRow }[] {
  const rows: { slot: number; row: SegmentRow }[] = [];
  for (const [key, value] of store.list(SEGMENT)) {
    const row = rowOf(value, isSegmentRow);
    if (row) rows.push({ slot: Number(key.slice(SEGMENT.length)), row });
  }
  return rows.sort((a, b) => lastOf(a.row) - lastOf(b.row) || a.row.after - b.row.after);
}

/** The position of the newest message of a row. */
function lastOf({ after, counts }: SegmentRow): number {
  return counts.reduce((last, count) => last + count, after);
}

function addBatch({ counts, times, keys }: SegmentRow, { count, at, keyed }: Batch): void {
  counts.push(count);
  times.push(at);
  for (const { key = "", last, count } of keyed) keys.push([key, last, count]);
}
