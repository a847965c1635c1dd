/** Which of a root's messages are retained: what memory knows of them besides the log, which has the messages. */
import { sizeOfKeyed } from "../protocol/keys.ts";
import type { AppendedMessages, Log } from "./log.ts";

export interface HistoryLimits {
  /** How long messages are retained, in seconds; 0 retains none. */
  historySeconds: number;
  /** Characters of messages and keys of one channel that are retained. */
  historyBytes: number;
}

/** Messages that were stored together. */
export interface Batch {
  after: number;
  count: number;
  /** When it was stored, in milliseconds since 1970. */
  at: number;
  /** Characters of its messages and keys. */
  size: number;
  /** Those that have a key. */
  keyed: readonly AppendedMessages[];
}

/** Batches whose messages are in the same row of storage. */
export interface Segment {
  slot: number;
  /** Oldest first. */
  batches: Batch[];
  size: number;
}

/**
 * A row is written again with the next batch until it has this many characters, or its oldest batch has this share of
 * the retention time behind it: so there are few rows to delete, and none outlives its messages for long.
 */
const FULL = 4_096;
export const AGED = 1 / 8;

export class Retained {
  readonly #log: Log;
  readonly #limits: HistoryLimits;
  readonly #now: () => number;
  readonly #released: (slot: number, at: number) => void;
  /** Oldest first, each after the one before. */
  readonly #segments: Segment[] = [];
  /** The retained announcements, and those about to be stored, by their keys. */
  readonly #byKey = new Map<string, AppendedMessages>();
  #size = 0;

  /** @param released called with each slot whose row has no retained messages any more, and when it was written */
  constructor(
    log: Log,
    limits: HistoryLimits,
    now: () => number,
    released: (slot: number, at: number) => void,
  ) {
    this.#log = log;
    this.#limits = limits;
    this.#now = now;
    this.#released = released;
  }

  /** Characters of messages and keys. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** The position after which all messages are retained; undefined if none are. */
  get start(): number | undefined {
    return this.#segments[0]?.batches[0]?.after;
  }

  /** The newest segment. */
  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** The newest segment if its row is to be written again with the next batch. */
  get open(): Segment | undefined {
    const { newest } = this;
    const [oldest] = newest?.batches ?? [];
    const isYoung = oldest && this.#now() - oldest.at < AGED * this.#limits.historySeconds * 1000;
    return newest && isYoung && newest.size < FULL ? newest : undefined;
  }

  /** Whether the row in a slot has retained messages. */
  has(slot: number): boolean {
    return this.#segments.some((segment) => segment.slot === slot);
  }

  /**
   * Whether what was stored at a time, in milliseconds since 1970, is still retained. A time that is far in the future
   * is wrong: nothing is retained for more than twice as long as it should be, whatever the clock does.
   */
  isCurrent(at: number): boolean {
    return Math.abs(this.#now() - at) < this.#limits.historySeconds * 1000;
  }

  /** Adds a batch that was stored in a slot. */
  add(slot: number, batch: Batch): void {
    if (this.newest?.slot !== slot) this.#segments.push({ slot, batches: [], size: 0 });
    const { newest } = this;
    newest?.batches.push(batch);
    if (newest) newest.size += batch.size;
    this.#size += batch.size;
  }

  /**
   * Forgets batches that are over, and the oldest until there is room for `size` more characters. Those that the log
   * had to drop, as links are too far behind, are forgotten too.
   */
  dropExpired(size = 0): void {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) {
      const [batch] = segment.batches;
      const hasRoom = this.#size + size <= this.#limits.historyBytes;
      const isInLog = batch && batch.after >= (this.#log.start ?? 0);
      if (isInLog && hasRoom && this.isCurrent(batch.at)) return;
      this.#forgetOldest(segment);
    }
  }

  /** Forgets everything, also keys of what is not stored yet. */
  forgetAll(): void {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) this.#forgetOldest(segment);
    this.#byKey.clear();
  }

  /** Forgets the oldest batch, which is the first one of the oldest segment. */
  #forgetOldest(segment: Segment): void {
    const batch = segment.batches.shift();
    if (batch) {
      segment.size -= batch.size;
      this.#size -= batch.size;
      for (const appended of batch.keyed) this.#forgetKey(appended);
    }
    if (segment.batches.length > 0) return;
    this.#segments.shift();
    this.#released(segment.slot, batch?.at ?? 0);
  }

  /** The key may have been used again since. */
  #forgetKey(appended: AppendedMessages): void {
    if (appended.key !== undefined && this.#byKey.get(appended.key) === appended)
      this.#byKey.delete(appended.key);
  }

  /** Notes the key of an announcement, if it has one. */
  note(appended: AppendedMessages): void {
    if (appended.key !== undefined) this.#byKey.set(appended.key, appended);
  }

  /** Returns what was announced under a key; undefined if nothing is known to be. */
  announcedUnder(key: string): AppendedMessages | undefined {
    this.dropExpired();
    return this.#byKey.get(key);
  }
}

/**
 * Makes a batch of the newest of some messages, at most `most` characters of them and their keys.
 * @param last the position of the newest one
 * @param at when it is stored
 */
export function batchOf(
  messages: readonly AppendedMessages[],
  last: number,
  at: number,
  most: number,
): Batch {
  const keyed: AppendedMessages[] = [];
  let count = 0;
  let size = 0;
  for (let i = messages.length - 1; i >= 0; i--) {
    const appended = messages[i];
    const part = appended && newestOf(appended, most - size);
    if (!part || part.count === 0) break;
    count += part.count;
    size += part.size;
    if (appended.key !== undefined) keyed.push(appended);
    if (part.count < appended.count) break;
  }
  return { after: last - count, count, at, size, keyed: keyed.reverse() };
}

/** How many of some messages there is room for. Those with a key are retained together: by their text it is known. */
function newestOf(appended: AppendedMessages, room: number): { count: number; size: number } {
  const { lines, count, key } = appended;
  const size = key === undefined ? lines.length : sizeOfKeyed(key, lines);
  if (size <= room) return { count, size };
  if (key !== undefined) return { count: 0, size: 0 };
  let dropped = 0;
  let from = 0;
  for (; lines.length - from > room; dropped++) from = lines.indexOf("\n", from) + 1;
  return { count: count - dropped, size: lines.length - from };
}
