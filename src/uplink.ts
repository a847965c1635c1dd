/** Announcements on their way from this object to the root of another channel. */
import type { World } from "./links.ts";

interface Waiting {
  lines: string;
  count: number;
  placed: (last: number) => void;
  failed: (cause: unknown) => void;
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
  readonly #queues = new Map<string, { waiting: Waiting[]; buffered: number }>();

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

  #open(channel: string) {
    const queue = { waiting: [], buffered: 0 };
    this.#queues.set(channel, queue);
    this.#world.keep(this.#send(channel, queue));
    return queue;
  }

  async #send(channel: string, queue: { waiting: Waiting[]; buffered: number }): Promise<void> {
    // One turn of the microtask queue, so that what is announced with the first goes with it.
    await undefined;
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0);
      const lines = batch.map((part) => part.lines).join("");
      const count = batch.reduce((sum, part) => sum + part.count, 0);
      try {
        let place = (await this.#world.peer(channel).announce(lines, count)) - count;
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
}
