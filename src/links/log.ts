/** One channel's order, as an object knows it, and the newest messages of it. */
import { assert } from "../assert.ts";
import { dropLines } from "../protocol/frames.ts";

/** Some messages with neighbouring positions, as lines. */
interface Entry {
  last: number;
  count: number;
  lines: string;
}

/** Messages, and how many they are, as lines. */
export interface Messages {
  count: number;
  lines: string;
}

export class Log {
  #entries: Entry[] = [];
  #size = 0;
  #position: number | undefined;
  /** Messages after this position are kept, even if no link needs them any more. */
  #kept = Number.POSITIVE_INFINITY;

  /** @param position of the newest message; undefined if this object has yet to learn it */
  constructor(position: number | undefined) {
    this.#position = position;
  }

  /** The newest message's; undefined while this object does not know where in the order it is. */
  get position(): number | undefined {
    return this.#position;
  }

  /** The position after which all messages are kept. */
  get start(): number | undefined {
    const [oldest] = this.#entries;
    return oldest ? oldest.last - oldest.count : this.#position;
  }

  /** Characters that are kept. */
  get size(): number {
    return this.#size;
  }

  /** Gives messages the next positions, and keeps them; says the last one's. */
  append(lines: string, count: number): number {
    const last = this.skip(count);
    this.#entries.push({ last, count, lines });
    this.#size += lines.length;
    return last;
  }

  /** The same, but keeps nothing. */
  skip(count: number): number {
    assert(this.#position !== undefined, "who gives positions knows the one before");
    this.#position += count;
    return this.#position;
  }

  /** The messages after a position, at most `most` characters of them, but not nothing where there is something. */
  since(position: number, most: number): Messages {
    const start = this.#entries.findLastIndex((entry) => entry.last <= position) + 1;
    let lines = "";
    let count = 0;
    for (let i = start; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (!entry || (count > 0 && lines.length + entry.lines.length > most)) break;
      const known = Math.max(0, position - (entry.last - entry.count));
      lines += dropLines(entry.lines, known);
      count += entry.count - known;
    }
    return { lines, count };
  }

  /** Has messages after a position kept, whatever `trim` says. */
  keep(position: number): void {
    this.#kept = position;
  }

  /** Drops the messages up to a position, but for those to be kept. */
  trim(position: number): void {
    const to = Math.min(position, this.#kept);
    this.#dropUntil((entry) => entry.last > to);
  }

  /** Drops the oldest messages until at most `size` characters are kept; says after which position they are. */
  trimTo(size: number): number | undefined {
    this.#dropUntil(() => this.#size <= size);
    return this.start;
  }

  /** Goes on after a position, where this object has been told that it is. */
  begin(position: number): void {
    this.clear();
    this.#position = position;
  }

  /** Forgets where in the order this object is. */
  lose(): void {
    this.clear();
    this.#position = undefined;
  }

  /** Drops every message. */
  clear(): void {
    this.#entries = [];
    this.#size = 0;
  }

  #dropUntil(enough: (entry: Entry) => boolean): void {
    let dropped = 0;
    for (const entry of this.#entries) {
      if (enough(entry)) break;
      this.#size -= entry.lines.length;
      dropped += 1;
    }
    if (dropped > 0) this.#entries = this.#entries.slice(dropped);
  }
}
