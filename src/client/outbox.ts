/**
 * Announcements awaiting the server's reply. Each channel's go out in batches, one after the server has replied to all
 * of the previous one. So a temporarily refused announcement is retried before later ones can overtake it.
 */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import type { Pace } from "./pace.ts";
import { after, limited } from "./timing.ts";
import type { Outcome, Transport } from "./transport.ts";
import type { AnnounceOptions } from "./types.ts";

/** Most pending announcements; further ones are refused. */
const MAX_PENDING = 20_000;

/** Characters of a line in addition to its message, channel and key. */
const LINE_OVERHEAD = 10;

interface Pending {
  readonly channel: string;
  readonly text: string;
  readonly key: string;
  /** Its length in a frame, in characters. */
  readonly size: number;
  /** Whether an earlier attempt may have been successful. */
  isUncertain: boolean;
  /** Numbers announcements in order. */
  readonly sequence: number;
  resolve(position: number | undefined): void;
  reject(error: Error): void;
}

/** The queue of one channel, and the state of its announcements on the current connection. */
interface Lane {
  readonly queue: Set<Pending>;
  /** The number of announcements in flight. */
  inFlight: number;
  /** Whether they were sent without keys. */
  isKeyless: boolean;
  /** Whether the server refused one of them temporarily. */
  isRefused: boolean;
  isPaused: boolean;
  failures: number;
}

export class Outbox {
  readonly #environment: Environment;
  readonly #pace: Pace;
  readonly #onSettled: () => void;
  readonly #pending = new Set<Pending>();
  readonly #lanes = new Map<string, Lane>();
  readonly #inFlight = new Set<Pending>();
  /** The total size of announcements in flight, in characters. */
  #load = 0;
  /** Channels found on this connection to retain nothing; announcements there have no keys. */
  readonly #keyless = new Set<string>();
  #transport: Transport | undefined;
  #isScheduled = false;
  /** The sequence number of the newest announcement. */
  sequence = 0;

  /** @param onSettled called when announcements are settled */
  constructor(environment: Environment, pace: Pace, onSettled: () => void) {
    this.#environment = environment;
    this.#pace = pace;
    this.#onSettled = onSettled;
  }

  /** The number of pending announcements. */
  get size(): number {
    return this.#pending.size;
  }

  /** The oldest pending announcement. */
  get oldest(): Pending | undefined {
    const [oldest] = this.#pending;
    return oldest;
  }

  /**
   * Announces a message.
   * @returns its position; undefined if the channel retains no messages
   * @throws Refused if the server refuses it, too many are pending, or the timeout expires
   */
  announce(message: Pick<Pending, "channel" | "text" | "key">, options: AnnounceOptions): Promise<number | undefined> {
    const { channel, text, key } = message;
    return limited(this.#environment, options, (resolve, reject) => {
      this.sequence += 1;
      const size = text.length + channel.length + key.length + LINE_OVERHEAD;
      const item = { ...message, size, isUncertain: false, sequence: this.sequence, resolve, reject };
      if (this.size < MAX_PENDING) this.#add(item);
      else reject(new Refused("limit", `${MAX_PENDING} announcements are pending; wait for earlier ones`));
      return () => {
        const code = this.#mayBeAnnounced(item) ? "uncertain" : "unavailable";
        this.#drop(item);
        this.#onSettled();
        return new Refused(code, `the server didn't reply within ${options.timeout} ms`);
      };
    });
  }

  #add(item: Pending): void {
    this.#pending.add(item);
    this.#enqueue(item);
    this.#schedule();
  }

  #enqueue(item: Pending): void {
    const lane = this.#lanes.get(item.channel) ?? {
      queue: new Set(),
      inFlight: 0,
      isKeyless: false,
      isRefused: false,
      isPaused: false,
      failures: 0,
    };
    this.#lanes.set(item.channel, lane);
    lane.queue.add(item);
  }

  /** Removes an announcement; returns whether it was pending. */
  #drop(item: Pending): boolean {
    this.#lanes.get(item.channel)?.queue.delete(item);
    return this.#pending.delete(item);
  }

  /** Whether the server may have announced it. */
  #mayBeAnnounced(item: Pending): boolean {
    return item.isUncertain || this.#inFlight.has(item);
  }

  /** Rejects all pending announcements. */
  fail(error: Error): void {
    for (const item of this.#pending) this.#reject(item, error);
  }

  #reject(item: Pending, error: Error, isUncertain = this.#mayBeAnnounced(item)): void {
    if (!this.#drop(item)) return;
    item.reject(isUncertain ? new Refused("uncertain", error.message) : error);
  }

  /**
   * Uses a new connection, or none.
   * @param isTooBig whether the last one ended because the client had sent too much
   */
  use(transport: Transport | undefined, isTooBig = false): void {
    const lost = [...this.#inFlight];
    this.#transport = transport;
    this.#inFlight.clear();
    this.#load = 0;
    if (isTooBig) this.#shrink(lost);
    for (const item of lost) {
      item.isUncertain = true;
      // Without a key a retry could announce it twice.
      if (this.#keyless.has(item.channel)) this.#reject(item, new Error("the connection ended"));
    }
    this.#keyless.clear();
    this.#lanes.clear();
    for (const item of this.#pending) this.#enqueue(item);
    this.#schedule();
  }

  /** Halves the frame size, unless a single message was too big; that one is rejected. */
  #shrink(lost: Pending[]): void {
    const [largest] = lost.sort((a, b) => b.size - a.size);
    if (largest && largest.size > this.#pace.size) {
      const why = `a message of ${largest.size} characters exceeds the server's limit`;
      this.#reject(largest, new Refused("limit", why), false);
    } else this.#pace.shrink();
  }

  // --- sending

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Batch the announcements of one turn of the event loop.
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const transport = this.#transport;
    this.#isScheduled = false;
    for (const [channel, lane] of [...this.#lanes]) {
      if (!transport || lane.inFlight > 0 || lane.isPaused) continue;
      if (lane.queue.size === 0) this.#lanes.delete(channel);
      else if (lane.isRefused) this.#pause(lane, transport);
      else this.#send(channel, lane, transport);
    }
  }

  /** Sends a batch: the oldest announcements of a channel, as many as may be in flight. */
  #send(channel: string, lane: Lane, transport: Transport): void {
    const batch: Pending[] = [];
    const errors: Refused[] = [];
    let lines = "";
    const isKeyless = this.#keyless.has(channel);
    lane.isKeyless = isKeyless;
    for (const item of lane.queue) {
      const { key, text, size } = item;
      const name = isKeyless ? `announce ${channel}` : `once ${key}`;
      const isFrameFull = this.#load > 0 && this.#load + size > this.#pace.size;
      const isBatchFull = batch.length >= (transport.home ? this.#pace.lines : 1);
      // Requests go out one at a time, to keep the order of retries. Replies name only the key, so it must be unique.
      if (isFrameFull || isBatchFull || (!isKeyless && transport.pending.has(name))) break;
      batch.push(item);
      this.#inFlight.add(item);
      this.#load += size;
      lane.inFlight += 1;
      lines += isKeyless ? `${name} ${text}\n` : `${name} ${channel} ${text}\n`;
      transport.expect(name, (outcome) => {
        if (!isKeyless) this.#settle(lane, item, outcome);
        else if (outcome instanceof Refused) errors.push(outcome);
      });
    }
    if (batch.length === 0) return;
    transport.write(lines, batch.length);
    // Move the channel to the end, so that channels take turns.
    this.#lanes.delete(channel);
    this.#lanes.set(channel, lane);
    if (!isKeyless) return;
    // Without keys the server replies only with errors; the reply to a ping marks their end.
    transport.ask("ping", "", () => {
      transport.pending.delete(`announce ${channel}`);
      // Within a frame the server refuses all announcements, or only the last ones.
      const accepted = batch.length - errors.length;
      for (const [i, item] of batch.entries()) this.#settle(lane, item, errors[i - accepted]);
    });
  }

  #settle(lane: Lane, item: Pending, outcome: Outcome): void {
    this.#inFlight.delete(item);
    this.#load -= item.size;
    lane.inFlight -= 1;
    if (outcome instanceof Refused) this.#handleRefusal(lane, item, outcome);
    else if (this.#drop(item)) {
      lane.failures = 0;
      item.resolve(outcome);
    }
    this.#schedule();
    this.#onSettled();
  }

  #handleRefusal(lane: Lane, item: Pending, error: Refused): void {
    const { code } = error;
    if (code === "no-history" && !lane.isKeyless) this.#keyless.add(item.channel);
    else if (isTemporary(code) || (code === "uncertain" && !lane.isKeyless)) {
      lane.isRefused = true;
      item.isUncertain ||= code === "uncertain";
      // Plain requests reject some keys and channels that the earlier WebSocket may have accepted.
    } else this.#reject(item, error, item.isUncertain && code === "invalid");
  }

  #pause(lane: Lane, transport: Transport): void {
    lane.isRefused = false;
    lane.isPaused = true;
    after(this.#environment, backoff(this.#environment, lane.failures), transport.signal, () => {
      lane.isPaused = false;
      this.#schedule();
    });
    lane.failures += 1;
  }
}
