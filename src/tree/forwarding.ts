/** Forwards announcements from this object to the roots of other channels. */
import type { Batch } from "../runtime/calls.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Upstream } from "./upstream.ts";

interface PendingAnnouncement {
  lines: string;
  count: number;
  /** The idempotency key, if the announcement has one. */
  key: string | undefined;
  resolve: (last: number) => void;
  reject: (cause: unknown) => void;
}

interface Queue {
  pending: PendingAnnouncement[];
  /** Characters of announcements that are pending or in flight. */
  buffered: number;
}

/** The most characters that are buffered for all channels. */
const MAX_BUFFERED = 9_000_000;

/** The most characters in one call, not counting its last announcement. */
const MAX_CALL = 1_000_000;

/** Thrown when too many announcements are pending. Nothing was announced. */
export class QueueFull extends Error {}

/** Thrown when the key was used for another message. Nothing was announced. */
export class KeyConflict extends Error {}

/** Batches announcements per channel: each root has one call in flight, and later announcements share the next one. */
export class Forwarding {
  readonly #runtime: Runtime;
  readonly #maxBuffered: number;
  readonly #upstream: Pick<Upstream, "arrived" | "abandon">;
  /** The channels that have announcements pending or in flight. */
  readonly #queues = new Map<string, Queue>();
  /** Characters of announcements that are pending or in flight, for all channels. */
  #buffered = 0;
  #newestBatch = 0;

  /** @param maxBuffered the most characters that are buffered for one channel */
  constructor(runtime: Runtime, maxBuffered: number, upstream: Pick<Upstream, "arrived" | "abandon">) {
    this.#runtime = runtime;
    this.#upstream = upstream;
    this.#maxBuffered = maxBuffered;
  }

  /**
   * Announces messages, formatted as lines, which get consecutive positions. A failed call isn't retried, because it
   * may have been carried out.
   * @param key the idempotency key of a single message
   * @returns the position of the last message
   * @throws QueueFull or KeyConflict if nothing was announced; any other error if the messages may have been announced
   */
  forward(channel: string, lines: string, count: number, key?: string): Promise<number> {
    const queue = this.#queues.get(channel) ?? this.#open(channel);
    // A channel may use half of the free space, so that others find room if its root doesn't answer.
    const free = MAX_BUFFERED - this.#buffered;
    if (queue.buffered > 0 && queue.buffered + lines.length > Math.min(this.#maxBuffered, free)) {
      return Promise.reject(new QueueFull("too many announcements are pending for this channel"));
    }
    if (this.#buffered > 0 && lines.length > free) {
      return Promise.reject(new QueueFull("too many announcements are pending for other channels"));
    }
    queue.buffered += lines.length;
    this.#buffered += lines.length;
    return new Promise((resolve, reject) => queue.pending.push({ lines, count, key, resolve, reject }));
  }

  #open(channel: string): Queue {
    const queue: Queue = { pending: [], buffered: 0 };
    this.#queues.set(channel, queue);
    this.#runtime.keep(this.#send(channel, queue));
    return queue;
  }

  async #send(channel: string, queue: Queue): Promise<void> {
    // Wait for a microtask, so that announcements made together share the call.
    await undefined;
    while (queue.pending.length > 0) {
      const parts = queue.pending.splice(0, batchLength(queue.pending));
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
   * Sends announcements to the root. Batch numbers are times, so they rise even if this object leaves memory in
   * between.
   * @returns the position of the last message of each part; undefined where the key was used for another message
   */
  async #positions(channel: string, parts: PendingAnnouncement[]): Promise<(number | undefined)[]> {
    const lines = parts.map((part) => part.lines).join("");
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    const keys = parts.flatMap(({ key }) => (key === undefined ? [] : [key]));
    for (;;) {
      this.#newestBatch = Math.max(this.#newestBatch + 1, this.#runtime.now());
      const batch: Batch = { from: this.#runtime.name, number: this.#newestBatch, lines, count };
      if (keys.length > 0) batch.keys = keys;
      const arrived = this.#upstream.arrived(channel) ?? 0;
      const answer = await this.#runtime.call(channel, "forward", batch);
      if ("newer" in answer) {
        this.#newestBatch = Math.max(this.#newestBatch, answer.newer);
        continue;
      }
      // Otherwise, messages with these positions would seem to have arrived already.
      if (answer.before < arrived) this.#upstream.abandon(channel);
      return "positions" in answer ? answer.positions : positionsUpTo(answer.last, parts);
    }
  }
}

/** Returns the position of the last message of each part, if the parts end at position `last`. */
function positionsUpTo(last: number, parts: PendingAnnouncement[]): number[] {
  let position = last - parts.reduce((sum, { count }) => sum + count, 0);
  return parts.map(({ count }) => (position += count));
}

/** Returns how many pending announcements fit in one call. In a call, either all of them have keys or none has. */
function batchLength(pending: PendingAnnouncement[]): number {
  const isKeyed = ({ key }: PendingAnnouncement) => key !== undefined;
  const [first] = pending;
  let characters = 0;
  const end = pending.findIndex((part) => {
    const isOtherKind = first !== undefined && isKeyed(part) !== isKeyed(first);
    const isFull = characters > MAX_CALL;
    characters += part.lines.length;
    return isOtherKind || isFull;
  });
  return end < 0 ? pending.length : end;
}

/** The most objects whose newest batch is remembered: enough for all that could have one in flight. */
const MAX_SENDERS = 10_000;

/** Detects batches that arrive after a later one of the same object. */
export class BatchNumbers {
  readonly #newest = new Map<string, number>();

  /** Records a batch. If it is out of order, returns the number that it has to exceed. */
  outdatedBy({ from, number }: Batch): number | undefined {
    const newest = this.#newest.get(from) ?? 0;
    if (number <= newest) return newest;
    if (this.#newest.size >= MAX_SENDERS) this.#newest.clear();
    this.#newest.set(from, number);
    return undefined;
  }
}
