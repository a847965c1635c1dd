/** The newest messages of one channel, with their positions. */
import { assert } from "../assert.ts";
import { countEnds, dropLines, firstLines, linesWithin } from "../protocol/frames.ts";

/** Messages that were announced together. Their positions are consecutive. */
export interface AppendedMessages {
  /** The position of the last message. It is final once the messages are stored: see `Log.renumber`. */
  readonly last: number;
  readonly count: number;
  readonly lines: string;
  /** The idempotency key of the announcement, if it had one. */
  readonly key: string | undefined;
}

interface Entry extends AppendedMessages {
  last: number;
}

/** `count` messages after a position, as lines. */
export interface Messages {
  after: number;
  count: number;
  lines: string;
}

export class Log {
  /** Entries before `#first` were dropped. Their slots are freed once they make up half of the array. */
  #entries: (Entry | undefined)[] = [];
  #first = 0;
  #size = 0;
  #position: number | undefined;
  #start: number | undefined;
  /** `trim` leaves messages after this position alone. */
  #retainedAfter = Number.POSITIVE_INFINITY;

  /** @param position of the newest message; undefined if this object doesn't know it yet */
  constructor(position: number | undefined) {
    this.#position = this.#start = position;
  }

  /** The position of the newest message; undefined while this object doesn't know it. */
  get position(): number | undefined {
    return this.#position;
  }

  /** The position after which the log is complete. */
  get start(): number | undefined {
    return this.#start;
  }

  /** Characters of messages in the log. */
  get size(): number {
    return this.#size;
  }

  /** Appends messages, which get the next positions. */
  append(lines: string, count: number, key?: string): AppendedMessages {
    assert(this.#position !== undefined, "the log knows its position before it appends");
    const entry: Entry = { last: this.#position + count, count, lines, key };
    this.#position = entry.last;
    this.#entries.push(entry);
    this.#size += lines.length;
    return entry;
  }

  /** Gives messages the next positions, but doesn't store them. */
  skip(lines: string, count: number): AppendedMessages {
    assert(this.#position !== undefined, "the log knows its position before it appends");
    if (this.#size > 0) this.#clear();
    this.#position = this.#start = this.#position + count;
    return { last: this.#position, count, lines, key: undefined };
  }

  /**
   * Returns the messages after a position: at most `most` characters, but at least one message. The result never spans
   * a renumbering. If `position` is just before one, `after` is the position that replaced it.
   */
  since(position: number, most: number): Messages {
    const start = this.#firstAfter(position);
    const first = this.#entries[start];
    const after = Math.max(position, first ? first.last - first.count : (this.#position ?? position));
    let end = after;
    let lines = "";
    for (let i = start; ; i++) {
      const entry = this.#entries[i];
      if (!entry || entry.last - entry.count > end) break;
      const more = dropLines(entry.lines, end - (entry.last - entry.count));
      if (lines.length + more.length > most) {
        const part = linesWithin(more, most - lines.length) || (end === after ? firstLines(more, 1) : "");
        lines += part;
        end += countEnds(part);
        break;
      }
      lines += more;
      end = entry.last;
    }
    return { after, count: end - after, lines };
  }

  /** Returns the announcements after a position. */
  after(position: number): Entry[] {
    return this.#entries.slice(this.#firstAfter(position)).filter((entry) => entry !== undefined);
  }

  #firstAfter(position: number): number {
    return this.#entries.findLastIndex((entry) => !entry || entry.last <= position) + 1;
  }

  /** Moves the messages after `position` to the positions after `base`. */
  renumber(position: number, base: number): void {
    assert(this.#position !== undefined && base >= this.#position, "positions only rise");
    const shift = base - position;
    for (const entry of this.after(position)) entry.last += shift;
    this.#position += shift;
  }

  /** Makes `trim` leave messages after a position alone, even if no link needs them. */
  retainAfter(position: number): void {
    this.#retainedAfter = position;
  }

  /** Drops the messages up to a position, except retained ones. */
  trim(position: number): void {
    const to = Math.min(position, this.#retainedAfter);
    this.#dropUntil((entry) => entry.last > to);
  }

  /** Drops the oldest messages until at most `size` characters are left; returns the new `start`. */
  trimTo(size: number): number | undefined {
    this.#dropUntil(() => this.#size <= size);
    return this.start;
  }

  /** Empties the log and continues after a position. */
  begin(position: number): void {
    this.#clear();
    this.#position = this.#start = position;
  }

  /** Empties the log, and forgets its position. */
  forgetPosition(): void {
    this.#clear();
    this.#position = this.#start = undefined;
  }

  #clear(): void {
    this.#entries = [];
    this.#first = 0;
    this.#size = 0;
  }

  #dropUntil(enough: (entry: Entry) => boolean): void {
    for (; ; this.#first++) {
      const oldest = this.#entries[this.#first];
      if (!oldest || enough(oldest)) break;
      this.#size -= oldest.lines.length;
      this.#start = oldest.last;
      this.#entries[this.#first] = undefined;
    }
    if (this.#first === 0 || this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
