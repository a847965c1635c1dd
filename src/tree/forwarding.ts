/** Announcements on their way from this object to the root of another channel. */
import type { Batch } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";

interface PendingAnnouncement {
  lines: string;
  count: number;
  /** Of a message that is to be announced once. */
  key: string | undefined;
  resolve: (last: number) => void;
  reject: (cause: unknown) => void;
}

interface Queue {
  waiting: PendingAnnouncement[];
  /** Characters of what waits or is under way. */
  buffered: number;
}

/** The other way: how far the messages are that have arrived. */
interface ReceivedPositions {
  /** The position of the newest message of a channel that has arrived; undefined if that is not known. */
  arrived(channel: string): number | undefined;
  /** The root of a channel has forgotten positions of messages that have arrived. */
  regressed(channel: string): void;
}

/** Characters that may wait for all other channels' objects together. */
const MOST_BUFFERED = 9_000_000;

/** Most characters in one call, but for its last announcement. */
const MOST_IN_CALL = 1_000_000;

/** More announcements wait for one channel's object than this object will hold. */
export class QueueFull extends Error {}

/** A key was used for another message; nothing was announced. */
export class KeyConflict extends Error {}

/**
 * Gathers announcements for other channels: one call at a time is under way to each root, and what
 * comes meanwhile, from whichever connection, goes out together in the next one.
 */
export class Forwarding {
  readonly #runtime: Runtime;
  readonly #maxBuffered: number;
  readonly #received: ReceivedPositions;
  /** Of the channels to which something is on its way. */
  readonly #queues = new Map<string, Queue>();
  /** Characters of what waits or is under way, to whichever channel. */
  #buffered = 0;
  #newest = 0;

  /** @param maxBuffered characters that may wait for one channel's object */
  constructor(runtime: Runtime, maxBuffered: number, received: ReceivedPositions) {
    this.#runtime = runtime;
    this.#received = received;
    this.#maxBuffered = maxBuffered;
  }

  /**
   * Has messages, formatted as lines, get neighbouring positions in the order of `channel`.
   * A call that failed is not repeated, as nobody knows whether it was carried out.
   * @param key under which the one message there is is announced once
   * @returns the position of the last one
   * @throws QueueFull or KeyConflict if none was announced; anything else if they may or may not have got positions
   */
  forward(channel: string, lines: string, count: number, key?: string): Promise<number> {
    const queue = this.#queues.get(channel) ?? this.#open(channel);
    // One channel takes half of what the others leave, so that those find room if its object doesn't answer.
    const free = MOST_BUFFERED - this.#buffered;
    if (queue.buffered > 0 && queue.buffered + lines.length > Math.min(this.#maxBuffered, free)) {
      return Promise.reject(new QueueFull("too many announcements are pending for this channel"));
    }
    if (this.#buffered > 0 && lines.length > free) {
      return Promise.reject(new QueueFull("too many announcements are pending for other channels"));
    }
    queue.buffered += lines.length;
    this.#buffered += lines.length;
    return new Promise((resolve, reject) => queue.waiting.push({ lines, count, key, resolve, reject }));
  }

  #open(channel: string): Queue {
    const queue: Queue = { waiting: [], buffered: 0 };
    this.#queues.set(channel, queue);
    this.#runtime.keep(this.#send(channel, queue));
    return queue;
  }

  async #send(channel: string, queue: Queue): Promise<void> {
    // One turn of the microtask queue, so that what is announced with the first goes with it.
    await undefined;
    while (queue.waiting.length > 0) {
      const parts = queue.waiting.splice(0, together(queue.waiting));
      const size = parts.reduce((sum, { lines }) => sum + lines.length, 0);
      try {
        const positions = await this.#positions(channel, parts);
        for (const [i, position] of positions.entries()) {
          if (position === undefined) parts[i]?.reject(new KeyConflict());
          else parts[i]?.resolve(position);
        }
      } catch (cause) {
        for (const part of parts) part.reject(cause);
      }
      queue.buffered -= size;
      this.#buffered -= size;
    }
    this.#queues.delete(channel);
  }

  /**
   * Returns the position of the last message of each part; undefined where its key was used for another message. Batch
   * numbers are times, so they rise across the lives of this object.
   */
  async #positions(channel: string, parts: PendingAnnouncement[]): Promise<(number | undefined)[]> {
    const lines = parts.map((part) => part.lines).join("");
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    const keys = parts.flatMap(({ key }) => (key === undefined ? [] : [key]));
    for (;;) {
      this.#newest = Math.max(this.#newest + 1, this.#runtime.now());
      const batch: Batch = { from: this.#runtime.name, number: this.#newest, lines, count };
      if (keys.length > 0) batch.keys = keys;
      const arrived = this.#received.arrived(channel) ?? 0;
      const answer = await this.#runtime.call(channel, "forward", batch);
      if ("newer" in answer) {
        this.#newest = Math.max(this.#newest, answer.newer);
        continue;
      }
      // Else the positions would seem to have arrived already.
      if (answer.before < arrived) this.#received.regressed(channel);
      return "positions" in answer ? answer.positions : positionsUpTo(answer.last, parts);
    }
  }
}

/** Those of the last message of each part, where all are neighbours. */
function positionsUpTo(last: number, parts: PendingAnnouncement[]): number[] {
  let position = last - parts.reduce((sum, { count }) => sum + count, 0);
  return parts.map(({ count }) => (position += count));
}

/** How many of those that wait go together: either all have keys, or none has, and they are not too much for a call. */
function together(waiting: PendingAnnouncement[]): number {
  const isKeyed = ({ key }: PendingAnnouncement) => key !== undefined;
  const [first] = waiting;
  let characters = 0;
  const other = waiting.findIndex((part) => {
    const isOther = first !== undefined && isKeyed(part) !== isKeyed(first);
    const isTooMuch = characters > MOST_IN_CALL;
    characters += part.lines.length;
    return isOther || isTooMuch;
  });
  return other < 0 ? waiting.length : other;
}

/** Most objects whose newest batch is remembered: enough for all that could have one under way. */
const MAX_SENDERS = 10_000;

/** The other end: tells a batch that comes after a later one of the same object. */
export class BatchNumbers {
  readonly #newest = new Map<string, number>();

  /** Notes a batch; if it is not in order, says the number that it should have exceeded. */
  outdatedBy({ from, number }: Batch): number | undefined {
    const newest = this.#newest.get(from) ?? 0;
    if (number <= newest) return newest;
    if (this.#newest.size >= MAX_SENDERS) this.#newest.clear();
    this.#newest.set(from, number);
    return undefined;
  }
}
