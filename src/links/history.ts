/**
 * What a root keeps of its channel for a while, so that who was away misses nothing: the newest messages of its
 * log, in storage. Each time that something goes out, what has come since is stored first, as one segment, and
 * the platform holds back what goes out until that is durable: nobody ever knows of a message that a crash could
 * take back.
 */
import { assert } from "../assert.ts";
import { dropLines } from "../protocol/frames.ts";
import type { Log } from "./log.ts";
import { isNumber, isRecord, rowOf } from "./rows.ts";
import type { Keeper, World } from "./world.ts";

export interface HistoryLimits {
  /** How long messages are kept, in seconds; 0 keeps none. */
  historySeconds: number;
  /** Characters of one channel that are kept. */
  historyBytes: number;
}

/** A segment, in storage under `history:<slot>`; slots of old ones are used again, as deleting costs a row too. */
interface SegmentRow {
  /** The position of the message before the first one. */
  after: number;
  count: number;
  lines: string;
  /** When it was stored, in milliseconds since 1970. */
  at: number;
  /** Keys under which messages of it were announced once, and their positions. */
  keys: [key: string, position: number][];
}

/** What memory has of a segment; its messages are in the log. */
interface Segment {
  slot: number;
  after: number;
  /** When its oldest message was stored, and its newest one. */
  since: number;
  at: number;
  size: number;
  keys: string[];
}

function isSegmentRow(row: unknown): row is SegmentRow {
  if (!isRecord(row) || !isNumber(row.after) || !isNumber(row.count) || !isNumber(row.at)) return false;
  return typeof row.lines === "string" && Array.isArray(row.keys) && row.keys.every(isKey);
}

function isKey(value: unknown): value is [string, number] {
  return Array.isArray(value) && typeof value[0] === "string" && isNumber(value[1]);
}

const SEGMENT = "history:";

/** Characters that a key takes besides its own. */
const KEY_OVERHEAD = 16;

/**
 * A segment is written again with what comes next, in the same row, until it has so many characters or is as old as
 * that part of the time for which messages are kept: so there are few rows to delete.
 */
const FULL = 4_096;
const AGED = 1 / 8;

export class History {
  readonly #world: World;
  readonly #log: Log;
  readonly #limits: HistoryLimits;
  readonly #keeper: Keeper;
  /** Oldest first, each after the one before. */
  #segments: Segment[] = [];
  /** Slots of storage whose segment is old, and the first one that was never used. */
  #free: number[] = [];
  #nextSlot = 0;
  /** Positions by key: of what is kept, or is to be stored. */
  readonly #once = new Map<string, number>();
  #newKeys: string[] = [];
  /** The position up to which the log is stored, and whether anything in storage tells that. */
  #stored = 0;
  #isTold = false;
  /** Whether storage did not take the newest. */
  #hasFailed = false;
  #size = 0;

  /** Takes up what an earlier life has stored: the log goes on after it. */
  constructor(world: World, log: Log, limits: HistoryLimits, keeper: Keeper) {
    this.#world = world;
    this.#keeper = keeper;
    this.#log = log;
    this.#limits = limits;
    const rows: { slot: number; row: SegmentRow }[] = [];
    for (const [key, value] of world.store.list(SEGMENT)) {
      const row = rowOf(value, isSegmentRow);
      if (row) rows.push({ slot: Number(key.slice(SEGMENT.length)), row });
    }
    rows.sort((a, b) => a.row.after - b.row.after || a.row.count - b.row.count);
    for (const { slot, row } of rows) this.#takeUp(slot, row);
    const reached = positionIn(keeper);
    if (reached !== undefined && reached > (log.position ?? 0)) {
      this.begin(reached);
      this.#hasFailed = true;
    }
    this.forgetOld();
  }

  /** Whether anything is kept. */
  get isOn(): boolean {
    return this.#limits.historySeconds > 0;
  }

  /** Characters of messages and keys that are kept. */
  get size(): number {
    return this.#size;
  }

  /** The messages that are kept: after which position, how many, and how long; undefined where none are. */
  get kept(): { after: number; count: number; characters: number } | undefined {
    this.forgetOld();
    const [oldest] = this.#segments;
    if (!this.isOn || !oldest) return undefined;
    return { after: oldest.after, count: this.#stored - oldest.after, characters: this.#size };
  }

  /** Whether storage has the newest position; else only a socket can keep it through sleep. */
  get isStored(): boolean {
    return !this.#hasFailed;
  }

  /** Has the position outlive sleep, where storage would not take it. */
  settle(): void {
    const position = this.#hasFailed ? this.#log.position : undefined;
    if (position !== positionIn(this.#keeper)) this.#keeper.keep({ position });
  }

  /** Goes on after a position that an earlier life has told storage otherwise; what is kept ends before it. */
  begin(position: number): void {
    this.#forget(this.#segments.length);
    this.#log.begin(position);
    this.#stored = position;
    this.#isTold = false;
    this.#keepLog();
  }

  /** The position that a message announced under this key has; undefined if none is known. */
  positionOf(key: string): number | undefined {
    this.forgetOld();
    return this.#once.get(key);
  }

  /** The newest message was announced under a key. */
  note(key: string): void {
    assert(this.#log.position !== undefined, "what has a key has a position");
    this.#once.set(key, this.#log.position);
    this.#newKeys.push(key);
  }

  /**
   * Stores what the log has and storage has not; to be called before anything that tells of it goes out.
   * @param tellsPosition whether the position goes out, which has to go on from there even if there is no message
   * @returns when that is over, in milliseconds since 1970; undefined if nothing was stored
   */
  store(tellsPosition: boolean): number | undefined {
    const position = this.#log.position ?? 0;
    if (!this.isOn || (position === this.#stored && (this.#isTold || !tellsPosition))) return undefined;
    const reopened = this.#reopen();
    const row = this.#newRow(position);
    const size = sizeOf(row);
    if (row.after === this.#stored) this.forgetOld(size);
    else this.#forget(this.#segments.length);
    this.#stored = position;
    const slot = reopened?.slot ?? this.#free.pop() ?? this.#nextSlot++;
    const isStored = this.#world.store.put(SEGMENT + slot, row);
    this.#isTold = isStored;
    this.#hasFailed = !isStored;
    this.#add(slot, row, reopened?.since ?? row.at);
    // What was kept before does not reach up to what comes.
    if (!isStored) this.#forget(this.#segments.length);
    this.#keepLog();
    return isStored ? row.at + this.#limits.historySeconds * 1000 : undefined;
  }

  /** Takes off the newest segment, to be written again with what comes next, if it has room. */
  #reopen(): Segment | undefined {
    const newest = this.#segments.at(-1);
    const isAged = newest && this.#world.now() - newest.since >= AGED * this.#limits.historySeconds * 1000;
    if (!newest || isAged || newest.size >= FULL) return undefined;
    this.#segments.pop();
    this.#size -= newest.size;
    this.#newKeys.unshift(...newest.keys);
    this.#stored = newest.after;
    return newest;
  }

  /** The newest messages since the last segment, as many as may be kept. */
  #newRow(position: number): SegmentRow {
    const { lines, count } = this.#log.since(this.#stored, Number.POSITIVE_INFINITY);
    const keys = this.#takeKeys().map((key): [string, number] => [key, this.#once.get(key) ?? position]);
    const dropped = linesBeyond(lines, this.#limits.historyBytes);
    const row = { after: position - count + dropped, count: count - dropped, at: this.#world.now(), keys };
    return { ...row, lines: dropLines(lines, dropped) };
  }

  /** The newest keys since the last segment, as many as may be kept. */
  #takeKeys(): string[] {
    const keys = this.#newKeys;
    this.#newKeys = [];
    let left = this.#limits.historyBytes;
    const tooOld = keys.findLastIndex((key) => {
      left -= key.length + KEY_OVERHEAD;
      return left < 0;
    });
    for (const key of keys.splice(0, tooOld + 1)) this.#once.delete(key);
    return keys;
  }

  /**
   * Drops what is over from memory; from storage too if all is, or all but what tells the position.
   * @param isHeard whether anybody counts on the positions going on
   * @returns when the newest segment is over, in milliseconds since 1970; undefined if all is
   */
  expire(isHeard: boolean): number | undefined {
    this.forgetOld();
    const newest = this.#segments.at(-1);
    if (newest) return newest.at + this.#limits.historySeconds * 1000;
    this.#clear(isHeard);
    return undefined;
  }

  /**
   * Where only the position is told, and nobody hears the channel any more, keeps it for those who come back as long
   * as messages.
   * @returns when it is over, in milliseconds since 1970; undefined if nothing was stored
   */
  release(isHeard: boolean): number | undefined {
    if (isHeard || !this.#isTold || this.#segments.length > 0) return undefined;
    this.#isTold = false;
    return this.store(true);
  }

  #clear(isHeard: boolean): void {
    const after = this.#log.position;
    const slots = this.#free.sort((a, b) => a - b);
    if (isHeard && after !== undefined) {
      // With one left, that is what tells it already, or storage takes nothing.
      if (slots.length < 2) return;
      const marker: SegmentRow = { after, count: 0, lines: "", at: 0, keys: [] };
      if (!this.#world.store.put(SEGMENT + slots[0], marker)) return;
      this.#delete(slots.slice(1));
      this.#free.push(...slots.slice(0, 1));
    } else {
      this.#isTold = false;
      this.#delete(slots);
    }
  }

  #delete(slots: number[]): void {
    this.#free = slots.filter((slot) => !this.#world.store.delete(SEGMENT + slot));
  }

  /** A segment of an earlier life; those before it are old if they do not reach up to it. */
  #takeUp(slot: number, row: SegmentRow): void {
    if (this.#log.position !== row.after) this.begin(row.after);
    if (row.count > 0) this.#log.append(row.lines, row.count);
    this.#stored = row.after + row.count;
    this.#isTold = true;
    this.#nextSlot = Math.max(this.#nextSlot, slot + 1);
    this.#add(slot, row, row.at);
    for (const [key, position] of row.keys) this.#once.set(key, position);
  }

  #add(slot: number, row: SegmentRow, since: number): void {
    const { after, at, keys } = row;
    const size = sizeOf(row);
    this.#segments.push({ slot, after, since, at, size, keys: keys.map(([key]) => key) });
    this.#size += size;
  }

  /**
   * Forgets segments that are over, and the oldest until there is room for `size` more characters. The newest one
   * may by itself be more than that: by its keys.
   */
  forgetOld(size = 0): void {
    const { historySeconds, historyBytes } = this.#limits;
    const since = this.#world.now() - historySeconds * 1000;
    let left = this.#size + size;
    let old = 0;
    for (const segment of this.#segments) {
      const hasRoom = left <= historyBytes || left === segment.size;
      if (segment.at > since && hasRoom) break;
      left -= segment.size;
      old += 1;
    }
    this.#forget(old);
  }

  #forget(count: number): void {
    if (count === 0) return;
    for (const { slot, size, keys } of this.#segments.splice(0, count)) {
      this.#free.push(slot);
      this.#size -= size;
      for (const key of keys) this.#once.delete(key);
    }
    this.#keepLog();
  }

  /** Links may need more of the log than this; who looks for what was missed does not. */
  #keepLog(): void {
    if (this.isOn) this.#log.keep(this.#segments[0]?.after ?? this.#stored);
  }
}

/** The position that has outlived sleep, where storage had not taken it. */
function positionIn({ kept }: Keeper): number | undefined {
  return kept && "position" in kept && isNumber(kept.position) ? kept.position : undefined;
}

function sizeOf({ lines, keys }: SegmentRow): number {
  return keys.reduce((sum, [key]) => sum + key.length + KEY_OVERHEAD, lines.length);
}

/** How many lines, from the first, are more than `most` characters allow. */
function linesBeyond(lines: string, most: number): number {
  let dropped = 0;
  for (let from = 0; lines.length - from > most; dropped++) from = lines.indexOf("\n", from) + 1;
  return dropped;
}
