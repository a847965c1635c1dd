/**
 * What the root of each channel must retain, according to the rows that it has stored: which messages have which
 * positions, and exactly which gaps clients are due.
 */
import { isSegmentRow, type SegmentRow } from "../../src/channel/history-rows.ts";
import { check } from "./violation.ts";

/** Bytes that a key takes besides its own. */
const KEY_OVERHEAD = 16;

/** Bytes of the largest announcement that clients make. */
const LARGEST = 200;

export interface HistoryRules {
  /** How long messages are retained, in milliseconds. */
  milliseconds: number;
  /** How many bytes of messages and keys a channel retains. */
  bytes: number;
  /** How many characters a root retains, even if its links are behind. */
  charactersForLinks: number;
}

/** Messages that were stored together. */
interface Batch {
  after: number;
  messages: string[];
  /** Bytes of its messages and keys, and characters of its messages, as lines. */
  size: number;
  characters: number;
  /** When it was stored, and when it was dropped because later messages needed its room, in milliseconds. */
  stored: number;
  dropped: number;
}

/** A resume that was answered with a gap, or without one. */
export interface Resumed {
  channel: string;
  /** Where the client resumes, and when it asked and left, in milliseconds. */
  since: number;
  asked: number;
  left: number;
  /** Whether the client is connected to the root of the channel. */
  isAtRoot: boolean;
}

class History {
  /** Oldest first. */
  readonly batches: Batch[] = [];
  /** The positions of messages that were too large to be retained. */
  readonly skipped: number[] = [];
  /** When storage last refused a row, in milliseconds. */
  refused = Number.NEGATIVE_INFINITY;

  get newest(): number | undefined {
    const last = this.batches.at(-1);
    return last && endOf(last);
  }
}

export class Histories {
  readonly #rules: HistoryRules;
  readonly #now: () => number;
  readonly #byChannel = new Map<string, History>();

  constructor(rules: HistoryRules, now: () => number) {
    this.#rules = rules;
    this.#now = now;
  }

  /**
   * Records a row that a root has stored durably.
   * @param skew how far the root's clock is ahead, in milliseconds
   */
  store(channel: string, row: unknown, skew: number): void {
    check(isSegmentRow(row), () => `${channel} stores a row of another kind`);
    const history = this.#of(channel);
    for (const batch of batchesIn(row, channel, skew)) {
      const { newest = Number.NEGATIVE_INFINITY } = history;
      // A row is stored again with each batch that it gets.
      if (batch.after < newest || (batch.after === newest && batch.messages.length === 0)) continue;
      this.#makeRoom(history, batch, channel);
      history.batches.push(batch);
    }
  }

  /** Records that storage has refused a row of a root: it retains nothing from before. */
  refuse(channel: string): void {
    const history = this.#of(channel);
    history.refused = this.#now();
  }

  /** Checks that a message was stored before a client received it. */
  checkStored(channel: string, position: number, message: string): void {
    // Storage has refused messages, or they are too large to be retained.
    if (
      this.#rules.milliseconds === 0 ||
      this.isRefused(channel) ||
      this.#rules.bytes < LARGEST ||
      this.#rules.charactersForLinks < LARGEST
    )
      return;
    const stored = this.at(channel, position);
    check(stored === message, () => `${message} was received at ${position} of ${channel}, where ${stored} is stored`);
  }

  /** Whether storage has ever refused a row of a channel, so that its positions have moved. */
  isRefused(channel: string): boolean {
    return Number.isFinite(this.#of(channel).refused);
  }

  /** The position of the newest stored message; undefined if none was. */
  newest(channel: string): number | undefined {
    return this.#of(channel).newest;
  }

  /** The message at a position; undefined if none was stored there. */
  at(channel: string, position: number): string | undefined {
    const batch = this.#of(channel).batches.findLast(({ after }) => after < position);
    return batch?.messages[position - batch.after - 1];
  }

  /** Checks a gap: the messages in it must be gone, the one after it must not, and one must be missing. */
  checkGap(resumed: Resumed, from: number, to: number, what: string): void {
    const { channel, since, asked, left, isAtRoot } = resumed;
    const history = this.#of(channel);
    check(from === since, () => `${what}, and resumed from ${since}`);
    if (history.refused >= Math.min(left, asked)) return;
    const now = this.#now();
    const isLate = left <= now - this.#rules.milliseconds;
    const isMissing =
      history.batches.some(({ after, messages }) => after < to && after + messages.length > from) ||
      history.skipped.some((position) => position > from && position <= to);
    check(from < to && (isMissing || isLate), () => `${what}, and nothing is missing`);
    const [least, most] = [this.#startAt(history, asked), this.#mayStartAt(history, now)];
    check(to <= most, () => `${what}, and messages after ${most} are retained`);
    // Elsewhere, expired messages may still be on their way.
    check(!isAtRoot || to >= least, () => `${what}, and messages up to ${least} are gone`);
  }

  /** Checks that a client that resumed without a gap was due none. */
  checkComplete({ channel, since, asked, isAtRoot }: Resumed, what: string): void {
    const history = this.#of(channel);
    if (!isAtRoot || this.isRefused(channel)) return;
    const start = this.#startAt(history, asked);
    check(since >= start, () => `${what} from ${since} without a gap, and messages up to ${start} are gone`);
  }

  /** Checks the position before the newest `last` messages, as the root of their channel reports it. */
  checkLast(channel: string, position: number, last: number, asked: number, what: string): void {
    if (this.isRefused(channel)) return;
    const history = this.#of(channel);
    const least = this.#startAt(history, asked);
    const most = Math.max(this.#mayStartAt(history, this.#now()), (history.newest ?? position) - last);
    check(position >= least, () => `${what}, and messages up to ${least} are gone`);
    check(position <= most, () => `${what}, and messages after ${most} are retained`);
  }

  #of(channel: string): History {
    const known = this.#byChannel.get(channel);
    if (known) return known;
    const history = new History();
    this.#byChannel.set(channel, history);
    return history;
  }

  /** Drops the oldest batches until there is room for another one, which must follow those that are retained. */
  #makeRoom(history: History, batch: Batch, channel: string): void {
    const now = this.#now();
    const retained = history.batches.filter((each) => this.#isRetained(each, now));
    let size = retained.reduce((sum, each) => sum + each.size, batch.size);
    const { newest = batch.after } = history;
    // Messages that are too large to be retained take the earlier ones with them, and so do links that are far behind.
    const isFull = batch.size + LARGEST > Math.min(this.#rules.bytes, this.#rules.charactersForLinks);
    const mayJump = retained.length === 0 || history.refused >= (retained[0]?.stored ?? 0) || isFull;
    check(batch.after === newest || mayJump, () => `${channel} forgets its messages up to ${newest}`);
    if (batch.after !== newest && isFull) history.skipped.push(batch.after);
    for (const each of retained) {
      if (size <= this.#rules.bytes && batch.after === newest) return;
      each.dropped = now;
      size -= each.size;
    }
  }

  #isRetained({ stored, dropped, messages }: Batch, time: number): boolean {
    return messages.length > 0 && stored <= time && time < dropped && time - stored < this.#rules.milliseconds;
  }

  /** The position after which the root must retain all messages at some time. */
  #startAt({ batches }: History, time: number): number {
    const stored = batches.filter((batch) => batch.stored <= time);
    const first = stored.find((batch) => this.#isRetained(batch, time));
    const last = stored.at(-1);
    return first?.after ?? (last ? endOf(last) : Number.NEGATIVE_INFINITY);
  }

  /** The highest position after which it may retain messages: batches go if the log is cut because links are behind. */
  #mayStartAt(history: History, time: number): number {
    let characters = 0;
    const cut = history.batches.findLast((batch) => {
      characters += batch.characters;
      return characters > this.#rules.charactersForLinks;
    });
    return Math.max(this.#startAt(history, time), cut ? endOf(cut) : Number.NEGATIVE_INFINITY);
  }
}

function endOf({ after, messages }: Batch): number {
  return after + messages.length;
}

/** Returns the batches of a row. */
function batchesIn({ after, counts, times, lines, keys }: SegmentRow, channel: string, skew: number): Batch[] {
  const prefix = `${channel}!`.length;
  const all = lines.split("\n").slice(0, -1);
  let position = after;
  return counts.map((count, i) => {
    const own = all.splice(0, count);
    const end = position + count;
    const keyed = keys.filter(([, last]) => last > position && last <= end);
    const text = own.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    const size = keyed.reduce((sum, [key]) => sum + Buffer.byteLength(key) + KEY_OVERHEAD, text);
    const messages = own.map((line) => line.slice(prefix));
    const batch = {
      after: position,
      messages,
      size,
      characters: own.reduce((sum, line) => sum + line.length + 1, 0),
      stored: (times[i] ?? 0) - skew,
      dropped: Number.POSITIVE_INFINITY,
    };
    position = end;
    return batch;
  });
}
