/** The index of a root's retained messages: batches, rows and keys. The log has the messages themselves. */
import { sizeOfKeyed } from "../protocol/keys.ts";
import { utf8Length } from "../protocol/text.ts";
import type { Limits } from "../runtime/limits.ts";
import type { AppendedMessages, Log } from "./log.ts";

export type HistoryLimits = Pick<Limits, "historySeconds" | "historyBytes">;

/** Messages that were stored together. */
export interface Batch {
  after: number;
  count: number;
  /** The time at which it was stored, in milliseconds since 1970. */
  at: number;
  /** Bytes of its messages and keys, as UTF-8. */
  size: number;
  /** Its announcements that have a key. */
  keyed: readonly KeyedMessages[];
}

/** Messages announced with a key. */
export type KeyedMessages = AppendedMessages & { readonly key: string };

/** Batches whose messages are in the same row. */
export interface Segment {
  slot: number;
  /** Oldest first. */
  batches: Batch[];
  size: number;
}

/**
 * New batches are added to the newest row until it has `FULL_ROW` bytes, or until its oldest batch is older than
 * `MAX_ROW_AGE`, a share of the retention time. So there are few rows to delete, and rows don't outlive their messages
 * for long.
 */
const FULL_ROW = 4_096;
export const MAX_ROW_AGE = 1 / 8;

export class Retained {
  readonly #log: Log;
  readonly #limits: HistoryLimits;
  readonly #now: () => number;
  readonly #released: (slot: number, at: number) => void;
  /** Oldest first, without gaps. */
  readonly #segments: Segment[] = [];
  /** Announcements that are retained or about to be stored, by key. */
  readonly #byKey = new Map<string, AppendedMessages>();
  /** Bytes of retained messages and keys, as UTF-8. */
  size = 0;

  /** @param released called with the slot of each row whose messages have all expired, and when the row was written */
  constructor(log: Log, limits: HistoryLimits, now: () => number, released: (slot: number, at: number) => void) {
    this.#log = log;
    this.#limits = limits;
    this.#now = now;
    this.#released = released;
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** The position after which all messages are retained; undefined if no messages are. */
  get start(): number | undefined {
    return this.#segments[0]?.batches[0]?.after;
  }

  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** The newest segment, if its row has room for the next batch. */
  get open(): Segment | undefined {
    const { newest } = this;
    const [oldest] = newest?.batches ?? [];
    const isYoung = oldest && this.#now() - oldest.at < MAX_ROW_AGE * this.#limits.historySeconds * 1000;
    return newest && isYoung && newest.size < FULL_ROW ? newest : undefined;
  }

  /** Whether the row in a slot has retained messages. */
  has(slot: number): boolean {
    return this.#segments.some((segment) => segment.slot === slot);
  }

  /**
   * Whether a batch stored at this time, in milliseconds since 1970, is within the retention time. Times far in the
   * future count as expired: so even if the clock jumps, nothing is retained for more than twice the retention time.
   */
  isCurrent(at: number): boolean {
    return Math.abs(this.#now() - at) < this.#limits.historySeconds * 1000;
  }

  /** Adds a batch that was stored in the row of a slot. */
  add(slot: number, batch: Batch): void {
    if (this.newest?.slot !== slot) this.#segments.push({ slot, batches: [], size: 0 });
    const { newest } = this;
    newest?.batches.push(batch);
    if (newest) newest.size += batch.size;
    this.size += batch.size;
  }

  /**
   * Drops expired batches, then the oldest ones until there is room for `size` more bytes. Also drops batches that
   * the log has dropped because links are too far behind.
   */
  dropExpired(size = 0): void {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) {
      const [batch] = segment.batches;
      const hasRoom = this.size + size <= this.#limits.historyBytes;
      const isInLog = batch && batch.after >= (this.#log.start ?? 0);
      if (isInLog && hasRoom && this.isCurrent(batch.at)) return;
      this.#dropOldest(segment);
    }
  }

  /** Drops everything, including the keys of announcements that aren't stored yet. */
  dropAll(): void {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) this.#dropOldest(segment);
    this.#byKey.clear();
  }

  /** Drops the oldest batch, which is the first one of the oldest segment. */
  #dropOldest(segment: Segment): void {
    const batch = segment.batches.shift();
    if (batch) {
      segment.size -= batch.size;
      this.size -= batch.size;
      for (const appended of batch.keyed) {
        // A later announcement may have the same key.
        if (this.#byKey.get(appended.key) === appended) this.#byKey.delete(appended.key);
      }
    }
    if (segment.batches.length > 0) return;
    this.#segments.shift();
    this.#released(segment.slot, batch?.at ?? 0);
  }

  /** Indexes the key of an announcement, if it has one. */
  indexKey(appended: AppendedMessages): void {
    if (hasKey(appended)) this.#byKey.set(appended.key, appended);
  }

  /** Returns the retained announcement with a key. */
  announcedUnder(key: string): AppendedMessages | undefined {
    this.dropExpired();
    return this.#byKey.get(key);
  }
}

/**
 * Makes a batch of the newest messages: at most `most` bytes of them and their keys.
 * @param last the position of the newest message
 * @param at the time at which the batch is stored, in milliseconds since 1970
 */
export function batchOf(messages: readonly AppendedMessages[], last: number, at: number, most: number): Batch {
  const keyed: KeyedMessages[] = [];
  let count = 0;
  let size = 0;
  for (let i = messages.length - 1; i >= 0; i--) {
    const appended = messages[i];
    const part = appended && newestOf(appended, most - size);
    if (!part || part.count === 0) break;
    count += part.count;
    size += part.size;
    if (hasKey(appended)) keyed.push(appended);
    if (part.count < appended.count) break;
  }
  return { after: last - count, count, at, size, keyed: keyed.reverse() };
}

function hasKey(appended: AppendedMessages): appended is KeyedMessages {
  return appended.key !== undefined;
}

/**
 * Returns how many of an announcement's newest messages fit into `room` bytes, and their size. Announcements with
 * a key fit completely or not at all, because their whole text is compared when the key is used again.
 */
function newestOf(appended: AppendedMessages, room: number): { count: number; size: number } {
  const { lines, count, key } = appended;
  let size = key === undefined ? utf8Length(lines) : sizeOfKeyed(key, lines);
  if (size <= room) return { count, size };
  if (key !== undefined) return { count: 0, size: 0 };
  let dropped = 0;
  for (let from = 0; size > room; dropped++) {
    const end = lines.indexOf("\n", from) + 1;
    size -= utf8Length(lines.slice(from, end));
    from = end;
  }
  return { count: count - dropped, size };
}
