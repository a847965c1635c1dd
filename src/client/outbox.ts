/**
 * Announcements that the server hasn't replied to. Those of one channel go out in batches, each when the server has
 * replied to all of the one before: so what it refuses for the moment is announced again before anything overtakes it.
 */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import { Refused } from "./errors.ts";
import type { SendLimits } from "./limits.ts";
import type { Transport } from "./socket.ts";
import type { Outcome, Outgoing } from "./transport.ts";
import type { Cancel, World } from "./world.ts";

/** Most announcements and bytes that may be pending; further ones are refused. */
const MOST_PENDING = 20_000;
const MOST_BYTES = 64_000_000;

export interface Pending extends Outgoing {
  /** Bytes that it takes in a frame, about. */
  readonly size: number;
  /** Whether the server has yet to reply to it. */
  isInFlight: boolean;
  /** Whether an earlier attempt may have been carried out. */
  isUnsure: boolean;
  isSettled: boolean;
  /** Later ones have greater numbers. */
  readonly sequence: number;
  resolve(position: number | undefined): void;
  reject(error: Error): void;
}

/** The announcements of one channel, in order. */
interface Lane {
  readonly channel: string;
  queue: Pending[];
  /** Announcements in flight. */
  batch: Set<Pending>;
  /** Set when something of that batch has to be announced again. */
  retry: "at once, without keys" | "later" | undefined;
  failures: number;
  /** Set while it pauses. */
  cancelPause: Cancel | undefined;
}

export class Outbox {
  readonly #world: World;
  readonly #limits: SendLimits;
  readonly #announced: (one: Pending, position: number | undefined) => void;
  readonly #noticed: () => void;
  readonly #lanes = new Map<string, Lane>();
  #transport: Transport | undefined;
  /** Keys of announcements in flight, as replies name no more than that. */
  readonly #keys = new Set<string>();
  /** Channels that retain nothing, as this connection has found out: their announcements have no keys. */
  readonly #plain = new Set<string>();
  /** In flight: their bytes. */
  #bytes = 0;
  #size = 0;
  #pendingBytes = 0;
  #isScheduled = false;

  /**
   * @param announced called for each announcement that took place
   * @param noticed called when one is not pending any more
   */
  constructor(
    world: World,
    limits: SendLimits,
    announced: (one: Pending, position: number | undefined) => void,
    noticed: () => void,
  ) {
    this.#world = world;
    this.#limits = limits;
    this.#announced = announced;
    this.#noticed = noticed;
  }

  /** How many are pending. */
  get size(): number {
    return this.#size;
  }

  /** A channel with pending announcements. */
  get channel(): string | undefined {
    for (const channel of this.#lanes.keys()) return channel;
    return undefined;
  }

  /** @throws Refused if too many are pending */
  add(pending: Pending): void {
    if (this.#size >= MOST_PENDING || this.#pendingBytes + pending.size > MOST_BYTES) {
      throw new Refused(
        "limit",
        `${this.#size} announcements are pending; wait until earlier ones are settled`,
      );
    }
    this.#size += 1;
    this.#pendingBytes += pending.size;
    const { channel } = pending;
    const lane = this.#lanes.get(channel) ?? {
      channel,
      queue: [],
      batch: new Set(),
      retry: undefined,
      failures: 0,
      cancelPause: undefined,
    };
    this.#lanes.set(channel, lane);
    lane.queue.push(pending);
    this.#schedule();
  }

  /** Forgets an announcement that its caller has given up. */
  drop(pending: Pending): void {
    this.#settle(pending, () => {});
  }

  /** The sequence number of the oldest pending announcement; infinite if there is none. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { queue } of this.#lanes.values()) oldest = Math.min(oldest, queue[0]?.sequence ?? oldest);
    return oldest;
  }

  /** Rejects everything. */
  fail(error: Error): void {
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    this.#size = this.#pendingBytes = 0;
    for (const { cancelPause, queue } of lanes) {
      cancelPause?.();
      for (const pending of queue) {
        pending.isSettled = true;
        pending.reject(mayBeAnnounced(pending) ? unsure(error) : error);
      }
    }
    this.#noticed();
  }

  /**
   * There is a connection, or none any more.
   * @param isTooBig whether the last one ended as something was too big
   */
  use(transport: Transport | undefined, isTooBig = false): void {
    const culprit = isTooBig ? this.#findTooBig() : undefined;
    this.#transport = transport;
    this.#keys.clear();
    this.#bytes = 0;
    for (const lane of [...this.#lanes.values()]) this.#interrupt(lane);
    this.#plain.clear();
    if (culprit) {
      const why = `a message of ${culprit.size} bytes is more than the server takes`;
      this.#settle(culprit, () => culprit.reject(new Refused("limit", why)));
    }
    this.#schedule();
  }

  /** Sends smaller frames; if there was but one announcement in a frame, that one was too big. */
  #findTooBig(): Pending | undefined {
    let largest: Pending | undefined;
    for (const { batch } of this.#lanes.values()) {
      for (const one of batch) if (one.size > (largest?.size ?? 0)) largest = one;
    }
    if (largest && largest.size > this.#limits.frame) return largest;
    this.#limits.frame = Math.max(1, Math.floor(this.#limits.frame / 2));
    return undefined;
  }

  /** The batch in flight is over: without keys it can't be announced again. */
  #interrupt(lane: Lane): void {
    const isPlain = this.#plain.has(lane.channel);
    const error = unsure(new Error("the connection ended"));
    lane.cancelPause?.();
    lane.cancelPause = undefined;
    const batch = [...lane.batch];
    lane.batch.clear();
    for (const one of batch) {
      one.isUnsure = true;
      one.isInFlight = false;
      if (isPlain) this.#settle(one, () => one.reject(error));
    }
    if (lane.queue.length === 0) this.#lanes.delete(lane.channel);
  }

  // --- sending

  #schedule(): void {
    if (this.#isScheduled || !this.#transport) return;
    this.#isScheduled = true;
    // Announcements of one turn go out together.
    queueMicrotask(() => this.flush());
  }

  /** Sends what may be sent, before other commands that come after it. */
  flush(): void {
    if (!this.#isScheduled) return;
    this.#isScheduled = false;
    if (this.#transport) this.#sendAll(this.#transport);
  }

  #sendAll(transport: Transport): void {
    for (const lane of [...this.#lanes.values()]) {
      if (lane.batch.size > 0 || lane.cancelPause) continue;
      const batch = this.#nextBatch(lane, transport);
      if (batch.length > 0) this.#send(lane, batch, transport);
    }
  }

  /** The oldest announcements of a channel, as many as may be in flight. */
  #nextBatch({ queue }: Lane, { batch: most }: Transport): Pending[] {
    const { frame, inFlight, burst } = this.#limits;
    const batch: Pending[] = [];
    let bytes = 0;
    const room = Math.min(most, burst, 4 * most - this.#keys.size);
    for (const one of queue) {
      const isAlone = batch.length === 0 && this.#bytes === 0;
      const fits = bytes + one.size <= frame || batch.length === 0;
      const isWithin = this.#bytes + bytes + one.size <= inFlight || isAlone;
      if (batch.length >= room || !fits || !isWithin || this.#keys.has(one.key)) break;
      this.#keys.add(one.key);
      batch.push(one);
      bytes += one.size;
    }
    return batch;
  }

  #send(lane: Lane, batch: Pending[], transport: Transport): void {
    // Channels take turns.
    this.#lanes.delete(lane.channel);
    this.#lanes.set(lane.channel, lane);
    lane.retry = undefined;
    for (const one of batch) {
      lane.batch.add(one);
      one.isInFlight = true;
      this.#bytes += one.size;
    }
    transport.announce(batch, this.#plain.has(lane.channel), (one, outcome) => {
      if (this.#transport === transport) this.#answered(lane, one, outcome);
    });
  }

  #answered(lane: Lane, one: Pending, outcome: Outcome): void {
    this.#keys.delete(one.key);
    this.#bytes -= one.size;
    one.isInFlight = false;
    lane.batch.delete(one);
    if ("position" in outcome) {
      lane.failures = 0;
      this.#settle(one, () => {
        this.#announced(one, outcome.position);
        one.resolve(outcome.position);
      });
    } else this.#refused(lane, one, outcome.error);
    if (lane.batch.size === 0) this.#finish(lane);
    this.#schedule();
  }

  #refused(lane: Lane, one: Pending, error: Refused): void {
    const { code } = error;
    const isPlain = this.#plain.has(lane.channel);
    if (code === "no-history" && !isPlain) lane.retry ??= "at once, without keys";
    else if (isTemporary(code) || (code === "uncertain" && !isPlain)) lane.retry = "later";
    // Requests can't announce all that an earlier WebSocket can.
    else this.#settle(one, () => one.reject(one.isUnsure && code === "invalid" ? unsure(error) : error));
    one.isUnsure ||= code === "uncertain";
  }

  /** The server has replied to all of a batch. */
  #finish(lane: Lane): void {
    if (lane.queue.length === 0) this.#lanes.delete(lane.channel);
    else if (lane.retry === "later") this.#pause(lane);
    else if (lane.retry) this.#plain.add(lane.channel);
  }

  #pause(lane: Lane): void {
    const wait = backoff(this.#world, lane.failures);
    lane.failures += 1;
    lane.cancelPause = this.#world.later(wait, () => {
      lane.cancelPause = undefined;
      this.#schedule();
    });
  }

  #settle(one: Pending, settle: () => void): void {
    const lane = this.#lanes.get(one.channel);
    if (!lane || one.isSettled) return;
    one.isSettled = true;
    lane.queue.splice(lane.queue.indexOf(one), 1);
    this.#size -= 1;
    this.#pendingBytes -= one.size;
    if (lane.queue.length + lane.batch.size === 0) {
      lane.cancelPause?.();
      this.#lanes.delete(lane.channel);
    }
    settle();
    this.#noticed();
  }
}

/** Whether an announcement may have been carried out. */
export function mayBeAnnounced({ isInFlight, isUnsure }: Pending): boolean {
  return isInFlight || isUnsure;
}

/** The same error, where an earlier attempt may have succeeded. */
function unsure({ message }: Error): Refused {
  return new Refused("uncertain", `${message}; the message may have been announced`);
}
