/** One channel's order, as an object knows it, and the newest messages in it. */
import { assert } from "../assert.ts";
import { countEnds, dropLines, firstLines, linesWithin } from "../protocol/frames.ts";

/** Messages that were announced together; they have neighbouring positions. */
export interface AppendedMessages {
  /** The position of the last one. It is final once the messages are stored: see `Log.renumber`. */
  readonly last: number;
  readonly count: number;
  readonly lines: string;
  /** The key under which they were announced, if they have one. */
  readonly key: string | undefined;
}

interface Entry extends AppendedMessages {
  last: number;
}

/** Messages after a position, as lines. */
export interface Messages {
  after: number;
  count: number;
  lines: string;
}

export class Log {
  /** Those before `#first` were dropped: their places go when they are as many as the others. */
  #entries: (Entry | undefined)[] = [];
  #first = 0;
  #size = 0;
  #position: number | undefined;
  #start: number | undefined;
  /** Messages after this position are retained, even if no link needs them. */
  #retainedAfter = Number.POSITIVE_INFINITY;

  /** @param position of the newest message; undefined if this object has yet to learn it */
  constructor(position: number | undefined) {
    this.#position = this.#start = position;
  }

  /** The newest message's; undefined while this object doesn't know its place in the order. */
  get position(): number | undefined {
    return this.#position;
  }

  /** The position after which the log has all messages. */
  get start(): number | undefined {
    return this.#start;
  }

  /** Characters of messages in the log. */
  get size(): number {
    return this.#size;
  }

  /** Gives messages the next positions and adds them. */
  append(lines: string, count: number, key?: string): AppendedMessages {
    assert(this.#position !== undefined, "positions follow a known one");
    const entry: Entry = { last: this.#position + count, count, lines, key };
    this.#position = entry.last;
    this.#entries.push(entry);
    this.#size += lines.length;
    return entry;
  }

  /** Gives messages the next positions without adding them. */
  skip(lines: string, count: number): AppendedMessages {
    assert(this.#position !== undefined, "positions follow a known one");
    if (this.#size > 0) this.#clear();
    this.#position = this.#start = this.#position + count;
    return { last: this.#position, count, lines, key: undefined };
  }

  /**
   * Returns the messages after a position, at most `most` characters of them but at least one message. Where the log was
   * renumbered, only messages on one side of that are returned, and `after` is the number that the position has there.
   */
  since(position: number, most: number): Messages {
    const start = this.#firstAfter(position);
    const first = this.#entries[start];
    const after = Math.max(position, first ? first.last - first.count : (this.#position ?? position));
    let end = after;
    let lines = "";
    for (let i = start; i < this.#entries.length; i++) {
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

  /** Returns what was appended after a position. */
  after(position: number): readonly AppendedMessages[] {
    return this.#entriesAfter(position);
  }

  #entriesAfter(position: number): Entry[] {
    return this.#entries.slice(this.#firstAfter(position)).filter((entry) => entry !== undefined);
  }

  #firstAfter(position: number): number {
    return this.#entries.findLastIndex((entry) => !entry || entry.last <= position) + 1;
  }

  /** Gives the messages after a position other positions: the ones after `base`. */
  renumber(position: number, base: number): void {
    assert(this.#position !== undefined && base >= this.#position, "positions rise");
    const shift = base - position;
    for (const entry of this.#entriesAfter(position)) entry.last += shift;
    this.#position += shift;
  }

  /** Retains messages after a position, whatever `trim` says. */
  retainAfter(position: number): void {
    this.#retainedAfter = position;
  }

  /** Drops the messages up to a position, but for those that are retained. */
  trim(position: number): void {
    const to = Math.min(position, this.#retainedAfter);
    this.#dropUntil((entry) => entry.last > to);
  }

  /** Drops the oldest messages until at most `size` characters are left; returns the position after which they are. */
  trimTo(size: number): number | undefined {
    this.#dropUntil(() => this.#size <= size);
    return this.start;
  }

  /** Goes on after a position that this object has been told. */
  begin(position: number): void {
    this.#clear();
    this.#position = this.#start = position;
  }

  /** Forgets this object's place in the order. */
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
