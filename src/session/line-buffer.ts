/**
 * The lines published since the last flush. They are stored once for all readers: a reader's part is copied out only
 * when something else happens to that reader, so that no line costs more the more readers there are.
 */

/** A subscriber, as far as it matters here. */
interface Reader {
  readonly channels: ReadonlySet<string>;
}

/** Lines of one channel that nothing came between. */
interface Segment {
  readonly channel: string;
  lines: string;
}

/** Readers that are due the same lines. */
export interface Share<R> {
  readonly readers: Iterable<R>;
  readonly lines: string;
}

/** Memory of a segment besides its lines, in bytes. */
const SEGMENT_OVERHEAD = 100;

export class Gathering<R extends Reader> {
  #segments: Segment[] = [];
  #channels = new Set<string>();
  /** The newest segment, unless a reader has taken it. */
  #open: Segment | undefined;
  /** For each reader that has taken its part: the number of segments that it has taken. */
  #taken = new Map<R, number>();
  #size = 0;

  /** Memory of the lines, in bytes, if all of them are Latin-1. */
  get size(): number {
    return this.#size;
  }

  /** The channels that there are lines of. */
  get channels(): Iterable<string> {
    return this.#channels;
  }

  /** The readers that have taken their part, and may be due more by now. */
  get takers(): R[] {
    return [...this.#taken.keys()];
  }

  /** Appends lines for all readers of `channel`. */
  publish(channel: string, lines: string): void {
    this.#size += lines.length;
    if (this.#open?.channel === channel) {
      this.#open.lines += lines;
      return;
    }
    this.#size += SEGMENT_OVERHEAD;
    this.#channels.add(channel);
    this.#open = { channel, lines };
    this.#segments.push(this.#open);
  }

  /** Returns the lines that `reader` is due; from now on it is due only what follows. */
  take(reader: R): string {
    const from = this.#taken.get(reader) ?? 0;
    if (from === this.#segments.length) return "";
    this.#open = undefined;
    this.#taken.set(reader, this.#segments.length);
    return linesOf(this.#segments, reader.channels, from);
  }

  /** Forgets a reader that has left its channels. */
  forget(reader: R): void {
    this.#taken.delete(reader);
  }

  /** Ends the gathering, and returns what readers are due that have taken nothing. */
  end(readersOf: (channel: string) => ReadonlySet<R>): Iterable<Share<R>> {
    const [segments, channels, taken] = [this.#segments, this.#channels, this.#taken];
    this.#segments = [];
    this.#channels = new Set();
    this.#open = undefined;
    this.#taken = new Map();
    this.#size = 0;
    const [first, ...others] = channels;
    if (first === undefined) return [];
    if (others.length > 0) return sharesOf(segments, groupsOf(channels, readersOf, taken));
    const readers = readersOf(first);
    const untouched = taken.size === 0 ? readers : [...readers].filter((reader) => !taken.has(reader));
    return [{ readers: untouched, lines: linesOf(segments, channels) }];
  }
}

/** The lines of `channels` from a segment on, in the order in which they were published. */
function linesOf(segments: Segment[], channels: ReadonlySet<string>, from = 0): string {
  let lines = "";
  for (let i = from; i < segments.length; i++) {
    const segment = segments[i];
    if (segment && channels.has(segment.channel)) lines += segment.lines;
  }
  return lines;
}

/** Readers of the same channels, among those that there are lines of. */
interface Group<R> {
  readonly channel: string;
  /** Readers of all its channels but this one. */
  readonly wider: Group<R> | undefined;
  /** Readers of one more channel. */
  readonly narrower: Map<string, Group<R>>;
  readonly readers: R[];
}

/** Groups readers by their channels, in time that grows with the number of pairs of a reader and a channel. */
function groupsOf<R>(
  channels: Iterable<string>,
  readersOf: (channel: string) => ReadonlySet<R>,
  taken: ReadonlyMap<R, number>,
): Set<Group<R>> {
  const everyone = newGroup<R>("", undefined);
  const groups = new Map<R, Group<R>>();
  for (const channel of channels) {
    for (const reader of readersOf(channel)) {
      if (taken.has(reader)) continue;
      const wider = groups.get(reader) ?? everyone;
      const group = wider.narrower.get(channel) ?? newGroup(channel, wider);
      wider.narrower.set(channel, group);
      groups.set(reader, group);
    }
  }
  for (const [reader, { readers }] of groups) readers.push(reader);
  return new Set(groups.values());
}

function newGroup<R>(channel: string, wider: Group<R> | undefined): Group<R> {
  return { channel, wider, narrower: new Map(), readers: [] };
}

/** One share after another, so that the lines of only one are in memory. */
function* sharesOf<R>(segments: Segment[], groups: Iterable<Group<R>>): Iterable<Share<R>> {
  for (const group of groups) {
    const channels = new Set<string>();
    for (let at: Group<R> | undefined = group; at; at = at.wider) channels.add(at.channel);
    yield { readers: group.readers, lines: linesOf(segments, channels) };
  }
}
