/** Announcements on their way from this object to the root of another channel. */
import type { Batch, World } from "./links.ts";

interface Waiting {
  lines: string;
  count: number;
  placed: (last: number) => void;
  failed: (cause: unknown) => void;
}

interface Queue {
  waiting: Waiting[];
  /** Characters of what waits or is under way. */
  buffered: number;
}

/** More announcements wait for one channel's object than this object will hold. */
export class Overloaded extends Error {}

/**
 * Gathers announcements for other channels: one call at a time is under way to each root, and what
 * comes meanwhile, from whichever connection, goes out together in the next one.
 */
export class Uplink {
  readonly #world: World;
  readonly #maxBuffered: number;
  readonly #queues = new Map<string, Queue>();
  #newest = 0;

  constructor(world: World, maxBuffered: number) {
    this.#world = world;
    this.#maxBuffered = maxBuffered;
  }

  /**
   * Has `count` messages, formatted as lines, placed in the order of `channel`, next to each other.
   * A call that failed is not repeated, as nobody knows whether it was carried out.
   * @returns the place of the last one
   * @throws Overloaded if none was sent; anything else if they may or may not have been placed
   */
  announce(channel: string, lines: string, count: number): Promise<number> {
    const queue = this.#queues.get(channel) ?? this.#open(channel);
    if (queue.buffered > 0 && queue.buffered + lines.length > this.#maxBuffered) {
      return Promise.reject(new Overloaded("too many announcements are waiting for it"));
    }
    queue.buffered += lines.length;
    return new Promise((placed, failed) => queue.waiting.push({ lines, count, placed, failed }));
  }

  #open(channel: string): Queue {
    const queue: Queue = { waiting: [], buffered: 0 };
    this.#queues.set(channel, queue);
    this.#world.keep(this.#send(channel, queue));
    return queue;
  }

  async #send(channel: string, queue: Queue): Promise<void> {
    // One turn of the microtask queue, so that what is announced with the first goes with it.
    await undefined;
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0);
      const lines = batch.map((part) => part.lines).join("");
      const count = batch.reduce((sum, part) => sum + part.count, 0);
      try {
        let place = (await this.#placed(channel, lines, count)) - count;
        for (const part of batch) {
          place += part.count;
          part.placed(place);
        }
      } catch (cause) {
        for (const part of batch) part.failed(cause);
      }
      queue.buffered -= lines.length;
    }
    this.#queues.delete(channel);
  }

  /** Batch numbers are times, so they rise across the lives of this object. */
  async #placed(channel: string, lines: string, count: number): Promise<number> {
    for (;;) {
      this.#newest = Math.max(this.#newest + 1, this.#world.now());
      const batch: Batch = { from: this.#world.name, number: this.#newest, lines, count };
      const answer = await this.#world.peer(channel).announce(batch);
      if ("last" in answer) return answer.last;
      this.#newest = Math.max(this.#newest, answer.newer);
    }
  }
}

/** Most objects whose newest batch is remembered: enough for all that could have one under way. */
const MAX_SENDERS = 10_000;

/** The other end: refuses a batch that comes after a later one of the same object. */
export class BatchOrder {
  readonly #newest = new Map<string, number>();

  /** The number that this batch should have exceeded; undefined if it is in order. */
  newerThan({ from, number }: Batch): number | undefined {
    const newest = this.#newest.get(from) ?? 0;
    if (number <= newest) return newest;
    if (this.#newest.size >= MAX_SENDERS) this.#newest.clear();
    this.#newest.set(from, number);
    return undefined;
  }
}
