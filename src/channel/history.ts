/**
 * Retains a root's newest messages in storage for the retention time, so that clients that reconnect can catch up.
 *
 * **Durability.** Before any output, new messages are stored as one batch, and the platform holds back the output until
 * that write is durable. So clients never see a message or a position that a crash could undo.
 *
 * **Positions.** The newest position is retained for at least the retention time after the server last sent it. Its row
 * stays for twice that time, and is rewritten if the position is sent during the second half. So a single message costs
 * one row, however often its position is sent soon afterwards.
 *
 * **Full storage.** If storage refuses new messages, they are still delivered, but get positions far beyond the stored
 * ones. After a crash, the object continues from storage, so it never assigns a position twice.
 */

import type { MissedRequest } from "../runtime/calls.ts";
import { rowOf } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { isSegmentRow, piecesOf, SEGMENT, type SegmentRow } from "./history-rows.ts";
import type { Log, Messages } from "./log.ts";
import { type Batch, batchOf, type HistoryLimits, MAX_ROW_AGE, Retained } from "./retained.ts";

/** The row that records the newest position. */
interface PositionRow {
  slot: number;
  /** The time at which it was written, in milliseconds since 1970. */
  at: number;
  hasMessages: boolean;
}

/** A row without retained messages, to be overwritten or deleted. */
type FreeRow = Pick<PositionRow, "slot" | "at">;

/**
 * Positions that storage refused are at least this far beyond the others. To reach them after a crash, the object would
 * have to assign that many positions.
 */
const STRIDE = 1_000_000;

/** Called when the newest `count` messages, which haven't been sent, have moved to the positions after `position`. */
export type Renumbered = (position: number, count: number) => void;

export class History {
  readonly #parts: CoreParts;
  readonly #log: Log;
  readonly #limits: HistoryLimits;
  readonly #renumbered: Renumbered;
  readonly index: Retained;
  #free: FreeRow[] = [];
  #nextSlot = 0;
  #positionRow: PositionRow | undefined;
  /** The position up to which messages were stored or refused. */
  #stored = 0;
  /** Whether storage has refused the newest position. */
  isRefused = false;
  /** Whether the newest positions are beyond all that the object could assign after a crash. */
  #isAhead = false;
  /** Whether the object may have assigned positions, before a crash, that storage refused. */
  #isDoubtful = true;

  constructor(parts: CoreParts, log: Log, limits: HistoryLimits, renumbered: Renumbered) {
    this.#parts = parts;
    this.#log = log;
    this.#limits = limits;
    this.#renumbered = renumbered;
    this.index = new Retained(log, limits, parts.runtime.now, (slot, at) => {
      if (slot !== this.#positionRow?.slot) this.#free.push({ slot, at });
    });
  }

  /** Restores the stored messages; the log continues after them. */
  restore(): void {
    this.#isDoubtful = !this.#parts.connections.hasSlept;
    for (const { slot, row } of rowsIn(this.#parts.runtime)) this.#restore(slot, row);
    this.dropExpired();
    // A link that lacks expired messages is given up rather than sent them.
    if (this.isOn) this.#log.trim(this.#log.position ?? 0);
  }

  /** Whether messages are retained. */
  get isOn(): boolean {
    return this.#limits.historySeconds > 0;
  }

  /** The position after which all messages are retained. */
  get start(): number {
    return this.index.start ?? this.#stored;
  }

  /**
   * The retained messages: the position before the first, their number and their size; undefined if none are retained.
   */
  get retained(): { after: number; count: number; bytes: number } | undefined {
    this.dropExpired();
    if (this.index.isEmpty) return undefined;
    return { after: this.start, count: this.#stored - this.start, bytes: this.index.size };
  }

  /** The retention time, in milliseconds. */
  get #retention(): number {
    return this.#limits.historySeconds * 1000;
  }

  /**
   * Continues after a position; earlier messages are not retained.
   * @param isRefused whether storage has refused this position
   */
  begin(position: number, isRefused = false): void {
    this.index.dropAll();
    this.#log.begin(position);
    this.#continueAfter(position);
    this.isRefused = this.#isAhead = isRefused;
  }

  // --- storing

  /**
   * Stores new messages. Must be called before any output that reveals them.
   * @param sendsPosition whether the newest position is sent to a client, which restarts its retention time
   */
  store(sendsPosition: boolean): void {
    if (!this.isOn) return;
    if (this.#log.position !== this.#stored) this.#storeMessages();
    else if (sendsPosition && !(this.#positionRow && this.index.isCurrent(this.#positionRow.at))) this.#storePosition();
    else return;
    this.#scheduleExpiry();
  }

  /** Retains the newest position for a client that counted positions and has left, or may have left. */
  retainPosition(): void {
    // If storage refuses new messages, they move, which the client must learn while it counts.
    if (!this.#positionRow && this.#log.position === this.#stored) return;
    this.store(true);
    this.#scheduleExpiry();
  }

  /** Schedules `expire` for the time at which the newest row may expire, if there is one. */
  #scheduleExpiry(): void {
    if (!this.#positionRow) return;
    const now = this.#parts.runtime.now();
    // With this slack, the alarm of a first message also serves the messages soon after it.
    const slack = MAX_ROW_AGE * this.#retention;
    this.#parts.schedule.due(Math.max(Math.min(this.#positionRow.at, now) + 2 * this.#retention, now) + slack);
  }

  #storeMessages(): void {
    const position = this.#log.position ?? 0;
    const messages = this.#log.after(this.#stored);
    const batch = batchOf(messages, position, this.#parts.runtime.now(), this.#limits.historyBytes);
    if (batch.after === this.#stored) this.index.dropExpired(batch.size);
    else {
      // Messages right before this batch are too large to be retained.
      this.index.dropAll();
      for (const appended of batch.keyed) this.index.indexKey(appended);
    }
    if (batch.count > 0) this.#storeBatch(batch, position);
    else this.#storePosition();
  }

  #storeBatch(batch: Batch, position: number): void {
    const { open } = this.index;
    const slot = open?.slot ?? this.#slot;
    if (this.#put(slot, this.#rowOf(open?.batches ?? [], batch))) {
      this.index.add(slot, batch);
      this.#recordStored(position, { slot, at: batch.at, hasMessages: true });
    } else this.#handleRefusal();
  }

  /** Returns a row of batches. `newest` ends with the newest message in the log. */
  #rowOf(batches: readonly Batch[], newest: Batch): SegmentRow {
    const { after } = batches[0] ?? newest;
    const { lines } = this.#log.since(after, Number.POSITIVE_INFINITY);
    const row: SegmentRow = { after, counts: [], times: [], lines, keys: [] };
    for (const batch of batches) addBatch(row, batch);
    addBatch(row, newest);
    return row;
  }

  /** Stores the newest position in a row without messages. */
  #storePosition(): void {
    const position = this.#log.position ?? 0;
    const at = this.#parts.runtime.now();
    const slot = this.#slot;
    if (this.#put(slot, { after: position, counts: [0], times: [at], lines: "", keys: [] })) {
      this.#recordStored(position, { slot, at, hasMessages: false });
    } else if (position === this.#stored) this.isRefused = true;
    else this.#handleRefusal();
  }

  /** The slot of the next row. It overwrites the position's row if that has no retained messages. */
  get #slot(): number {
    return (this.index.isEmpty ? this.#positionRow?.slot : undefined) ?? this.#free[0]?.slot ?? this.#nextSlot;
  }

  #put(slot: number, row: SegmentRow): boolean {
    return this.#parts.runtime.store.put(SEGMENT + slot, row);
  }

  #recordStored(position: number, row: PositionRow): void {
    this.#stored = position;
    this.isRefused = this.#isAhead = false;
    this.#nextSlot = Math.max(this.#nextSlot, row.slot + 1);
    if (this.#free[0]?.slot === row.slot) this.#free.shift();
    this.#setPositionRow(row);
    this.#retainLog();
  }

  #setPositionRow(row: PositionRow | undefined): void {
    const before = this.#positionRow;
    this.#positionRow = row;
    if (before && before.slot !== row?.slot && !this.index.has(before.slot)) this.#free.push(before);
  }

  // --- full storage

  /**
   * Stops retaining messages, as storage refused the newest ones, and moves these to positions that are never reused.
   */
  #handleRefusal(): void {
    const last = this.#log.position ?? 0;
    this.isRefused = true;
    this.index.dropAll();
    if (!this.#isAhead) {
      // Random, because clocks may differ before and after a crash.
      const stride = Math.floor(STRIDE * (1 + this.#parts.runtime.random()));
      const base = Math.max(this.#parts.runtime.now() * 1000, last) + stride;
      this.#isAhead = true;
      this.#log.renumber(this.#stored, base);
      this.#renumbered(base, last - this.#stored);
    }
    this.#continueAfter(this.#log.position ?? 0);
  }

  /** Continues after a position that no row records; earlier messages are not retained. */
  #continueAfter(position: number): void {
    this.#stored = position;
    this.#setPositionRow(undefined);
    this.#retainLog();
  }

  /**
   * After a crash, checks that storage accepts rows before clients rely on the retained messages. If it doesn't,
   * messages announced before the crash may not have been stored, so earlier messages count as not retained.
   */
  #checkStorage(): void {
    if (!this.#isDoubtful || this.#parts.runtime.store.hasTaken()) return;
    this.#isDoubtful = false;
    this.dropExpired();
    const { newest } = this.index;
    const batch = newest?.batches.at(-1);
    if (!newest || !batch) this.#storePosition();
    else if (this.#put(newest.slot, this.#rowOf(newest.batches.slice(0, -1), batch))) return;
    if (newest || this.isRefused) this.#handleRefusal();
  }

  /**
   * Stores a position that storage refused, if storage accepts rows again.
   * @param isCounted whether clients count positions from the newest one, so that its row can't expire
   */
  settle(isCounted: boolean): void {
    if (this.isRefused) this.store(true);
    if (!isCounted) this.#scheduleExpiry();
  }

  // --- reading

  /** Returns the retained messages after `since`, and at least the newest `last`; undefined without a history. */
  readMissed({ since, last }: MissedRequest): Messages | undefined {
    if (!this.isOn) return undefined;
    if (since !== undefined) this.#checkStorage();
    this.dropExpired();
    const position = this.#log.position ?? 0;
    const after = Math.max(this.start, Math.min(since ?? position, position - last));
    return this.#log.since(after, Number.POSITIVE_INFINITY);
  }

  // --- expiry

  /** Drops expired messages from memory. Restoring drops them too, even if their rows still exist. */
  dropExpired(): void {
    this.index.dropExpired();
    this.#retainLog();
  }

  /**
   * Deletes expired rows.
   * @param isCounted whether clients count positions from the newest one, so that its row stays
   */
  expire(isCounted: boolean): void {
    this.dropExpired();
    this.#free = this.#free.filter((row) => this.#isReusedSoon(row) || !this.#delete(row.slot));
    const isSettled = this.index.isEmpty && this.#log.position === this.#stored;
    if (this.#positionRow && isSettled) this.#expirePositionRow(this.#positionRow, isCounted);
    if (!isCounted || this.#positionRow?.hasMessages) this.#scheduleExpiry();
  }

  /** Whether a free row is likely to be overwritten soon, which saves deleting it. */
  #isReusedSoon({ at }: FreeRow): boolean {
    const age = this.#parts.runtime.now() - at;
    return !this.index.isEmpty && age >= 0 && age < (1 + MAX_ROW_AGE) * this.#retention;
  }

  #expirePositionRow({ slot, at, hasMessages }: PositionRow, isCounted: boolean): void {
    const now = this.#parts.runtime.now();
    if (!isCounted && now >= at + 2 * this.#retention) {
      if (this.#delete(slot)) this.#positionRow = undefined;
    } else if ((isCounted && hasMessages) || at > now) this.#storePosition();
  }

  #delete(slot: number): boolean {
    return this.#parts.runtime.store.delete(SEGMENT + slot);
  }

  /** Keeps retained messages in the log after all links have received them. */
  #retainLog(): void {
    if (this.isOn) this.#log.retainAfter(this.start);
  }

  /** Restores the messages of a row. If they don't follow those before, those are not retained. */
  #restore(slot: number, row: SegmentRow): void {
    this.#nextSlot = Math.max(this.#nextSlot, slot + 1);
    if (this.#log.position !== row.after) this.begin(row.after);
    const pieces = piecesOf(row);
    for (const [i, at] of row.times.entries()) {
      const appended = (pieces[i] ?? []).map(({ lines, count, key }) => this.#log.append(lines, count, key));
      for (const announcement of appended) this.index.indexKey(announcement);
      const batch = batchOf(appended, this.#log.position ?? 0, at, Number.POSITIVE_INFINITY);
      if (batch.count > 0) this.index.add(slot, batch);
    }
    this.#stored = this.#log.position ?? 0;
    const at = Math.max(...row.times);
    this.#setPositionRow({ slot, at, hasMessages: row.lines !== "" });
  }
}

/** Returns the stored rows in the order of their positions. */
function rowsIn({ store }: Runtime): { slot: number; row: SegmentRow }[] {
  const rows: { slot: number; row: SegmentRow }[] = [];
  for (const [key, value] of store.list(SEGMENT)) {
    const row = rowOf(value, isSegmentRow);
    if (row) rows.push({ slot: Number(key.slice(SEGMENT.length)), row });
  }
  return rows.sort((a, b) => lastOf(a.row) - lastOf(b.row) || a.row.after - b.row.after);
}

/** Returns the position of the newest message of a row. */
function lastOf({ after, counts }: SegmentRow): number {
  return counts.reduce((last, count) => last + count, after);
}

function addBatch({ counts, times, keys }: SegmentRow, { count, at, keyed }: Batch): void {
  counts.push(count);
  times.push(at);
  for (const { key, last, count } of keyed) keys.push([key, last, count]);
}
