/**
 * Buffers the lines published since the last flush. Lines are stored once for all subscribers of a channel; a
 * subscriber's own copy is made only when something else happens to that subscriber. So the cost of a line doesn't
 * depend on the number of subscribers.
 */

interface Subscriber {
  readonly channels: ReadonlySet<string>;
}

/** Consecutive lines of one channel. */
interface Segment {
  readonly channel: string;
  lines: string;
}

/** The lines of some channels, from one segment to before another. */
interface Taken {
  readonly from: number;
  readonly to: number;
  readonly channels: readonly string[];
  readonly lines: string;
}

/** Memory of a segment besides its lines, in bytes. */
const SEGMENT_OVERHEAD = 100;

export class LineBuffer<S extends Subscriber> {
  #segments: Segment[] = [];
  #channels = new Set<string>();
  /** The newest segment, unless a subscriber's copy includes it. */
  #open: Segment | undefined;
  /** How many segments the copies of subscribers include. */
  #copied = new Map<S, number>();
  /** The lines that a subscriber took last: most of those that take lines take the same. */
  #taken: Taken | undefined;
  #size = 0;

  /** Memory of the lines, in bytes, if all of them are Latin-1. */
  get size(): number {
    return this.#size;
  }

  /** Channels with buffered lines. */
  get channels(): Iterable<string> {
    return this.#channels;
  }

  /** Subscribers that have called `take` since the last `end`. There may be more lines for them. */
  get takers(): S[] {
    return [...this.#copied.keys()];
  }

  /** Appends lines for all subscribers of `channel`. */
  append(channel: string, lines: string): void {
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

  /** Returns the lines for `subscriber` since its last `take`. */
  take(subscriber: S): string {
    const from = this.#copied.get(subscriber) ?? 0;
    if (from === this.#segments.length) return "";
    this.#open = undefined;
    this.#copied.set(subscriber, this.#segments.length);
    return this.#linesFrom(from, subscriber.channels);
  }

  /** Returns the lines from a segment on, without joining them again for each subscriber of the same channels. */
  #linesFrom(from: number, channels: ReadonlySet<string>): string {
    const to = this.#segments.length;
    const of = [...this.#channels].filter((channel) => channels.has(channel));
    const known = this.#taken;
    if (known?.from === from && known.to === to && isSame(known.channels, of)) return known.lines;
    const lines = linesOf(this.#segments, channels, from);
    this.#taken = { from, to, channels: of, lines };
    return lines;
  }

  /** Removes a subscriber that has left its channels. */
  remove(subscriber: S): void {
    this.#copied.delete(subscriber);
  }

  /** Empties the buffer, and returns the lines for subscribers that haven't called `take`. */
  end(subscribersOf: (channel: string) => ReadonlySet<S>): Iterable<{ subscribers: Iterable<S>; lines: string }> {
    const [segments, channels, copied] = [this.#segments, this.#channels, this.#copied];
    this.#segments = [];
    this.#channels = new Set();
    this.#open = undefined;
    this.#copied = new Map();
    this.#taken = undefined;
    this.#size = 0;
    const [first, ...others] = channels;
    if (first === undefined) return [];
    if (others.length > 0) return shareByGroup(segments, groupsOf(channels, subscribersOf, copied));
    const all = subscribersOf(first);
    const subscribers = copied.size === 0 ? all : [...all].filter((each) => !copied.has(each));
    return [{ subscribers, lines: linesOf(segments, channels) }];
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((each, i) => each === others[i]);
}

/** Returns the lines of `channels` from a segment on, in the order in which they were published. */
function linesOf(segments: Segment[], channels: ReadonlySet<string>, from = 0): string {
  let lines = "";
  for (let i = from; i < segments.length; i++) {
    const segment = segments[i];
    if (segment && channels.has(segment.channel)) lines += segment.lines;
  }
  return lines;
}

/** Subscribers of the same channels, counting only channels with buffered lines. */
interface Group<S> {
  readonly channel: string;
  /** The group of all its channels except this one. */
  readonly wider: Group<S> | undefined;
  /** The groups of one more channel, by that channel. */
  readonly narrower: Map<string, Group<S>>;
  readonly subscribers: S[];
}

/** Groups subscribers by their channels, in time proportional to the number of subscriptions. */
function groupsOf<S>(
  channels: Iterable<string>,
  subscribersOf: (channel: string) => ReadonlySet<S>,
  copied: ReadonlyMap<S, number>,
): Set<Group<S>> {
  const root = newGroup<S>("", undefined);
  const groups = new Map<S, Group<S>>();
  for (const channel of channels) {
    for (const subscriber of subscribersOf(channel)) {
      if (copied.has(subscriber)) continue;
      const wider = groups.get(subscriber) ?? root;
      const group = wider.narrower.get(channel) ?? newGroup(channel, wider);
      wider.narrower.set(channel, group);
      groups.set(subscriber, group);
    }
  }
  for (const [subscriber, { subscribers }] of groups) subscribers.push(subscriber);
  return new Set(groups.values());
}

function newGroup<S>(channel: string, wider: Group<S> | undefined): Group<S> {
  return { channel, wider, narrower: new Map(), subscribers: [] };
}

/** Yields the lines of one group at a time, so that the lines of only one are in memory. */
function* shareByGroup<S>(
  segments: Segment[],
  groups: Iterable<Group<S>>,
): Iterable<{ subscribers: Iterable<S>; lines: string }> {
  for (const group of groups) {
    const channels = new Set<string>();
    for (let at: Group<S> | undefined = group; at; at = at.wider) channels.add(at.channel);
    yield { subscribers: group.subscribers, lines: linesOf(segments, channels) };
  }
}
