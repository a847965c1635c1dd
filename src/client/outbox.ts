/**
 * Announcements that the server hasn't replied to. Those of one channel go out in batches, each when the server has
 * replied to all of the one before: so what it refuses for the moment is announced again before anything overtakes it.
 */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import type { Pace } from "./pace.ts";
import { after, limited } from "./timing.ts";
import type { Outcome, Transport } from "./transport.ts";
import type { AnnounceOptions } from "./types.ts";

/** Most announcements that may be pending; further ones are refused. */
const MOST_PENDING = 20_000;

/** Characters of a line besides its message, channel and key. */
const LINE_OVERHEAD = 10;

interface Pending {
  readonly channel: string;
  readonly text: string;
  readonly key: string;
  /** Characters that it takes in a frame. */
  readonly size: number;
  /** Whether an earlier attempt may have been carried out. */
  isUnsure: boolean;
  /** Later ones have greater numbers. */
  readonly sequence: number;
  resolve(position: number | undefined): void;
  reject(error: Error): void;
}

/** The announcements of one channel, in order, and how one connection gets on with them. */
interface Lane {
  readonly queue: Set<Pending>;
  /** How many announcements are in flight. */
  flying: number;
  /** Whether these were announced without keys. */
  isPlain: boolean;
  /** Whether the server has refused one of these for the moment. */
  isHeld: boolean;
  isPaused: boolean;
  failures: number;
}

export class Outbox {
  readonly #environment: Environment;
  readonly #pace: Pace;
  readonly #noticed: () => void;
  readonly #pending = new Set<Pending>();
  readonly #lanes = new Map<string, Lane>();
  readonly #flying = new Set<Pending>();
  /** The characters of those in flight. */
  #load = 0;
  /** Channels that retain nothing, as this connection has found out: their announcements have no keys. */
  readonly #plain = new Set<string>();
  #link: Transport | undefined;
  #isScheduled = false;
  /** The number of the newest announcement. */
  sequence = 0;

  /** @param noticed called when announcements aren't pending any more */
  constructor(environment: Environment, pace: Pace, noticed: () => void) {
    this.#environment = environment;
    this.#pace = pace;
    this.#noticed = noticed;
  }

  /** How many are pending. */
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
   * @returns its position; undefined where the channel retains no messages
   * @throws Refused if the server refuses it, too many are pending, or time is over
   */
  announce(
    message: Pick<Pending, "channel" | "text" | "key">,
    options: AnnounceOptions,
  ): Promise<number | undefined> {
    const { channel, text, key } = message;
    return limited(this.#environment, options, (resolve, reject) => {
      this.sequence += 1;
      const size = text.length + channel.length + key.length + LINE_OVERHEAD;
      const one = { ...message, size, isUnsure: false, sequence: this.sequence, resolve, reject };
      if (this.size < MOST_PENDING) this.#add(one);
      else reject(new Refused("limit", `${MOST_PENDING} announcements are pending; wait for earlier ones`));
      return () => {
        const code = this.#mayBeAnnounced(one) ? "uncertain" : "unavailable";
        this.#drop(one);
        this.#noticed();
        return new Refused(code, `the server didn't reply within ${options.timeout} ms`);
      };
    });
  }

  #add(one: Pending): void {
    this.#pending.add(one);
    this.#enqueue(one);
    this.#schedule();
  }

  #enqueue(one: Pending): void {
    const lane = this.#lanes.get(one.channel) ?? {
      queue: new Set(),
      flying: 0,
      isPlain: false,
      isHeld: false,
      isPaused: false,
      failures: 0,
    };
    this.#lanes.set(one.channel, lane);
    lane.queue.add(one);
  }

  /** Forgets an announcement; returns whether it was pending. */
  #drop(one: Pending): boolean {
    this.#lanes.get(one.channel)?.queue.delete(one);
    return this.#pending.delete(one);
  }

  /** Whether an announcement may have been carried out. */
  #mayBeAnnounced(one: Pending): boolean {
    return one.isUnsure || this.#flying.has(one);
  }

  /** Rejects everything. */
  fail(error: Error): void {
    for (const one of this.#pending) this.#reject(one, error);
  }

  #reject(one: Pending, error: Error, isUnsure = this.#mayBeAnnounced(one)): void {
    if (!this.#drop(one)) return;
    one.reject(isUnsure ? new Refused("uncertain", error.message) : error);
  }

  /**
   * There is a connection, or none any more.
   * @param isTooBig whether the last one ended as something was too big
   */
  use(link: Transport | undefined, isTooBig = false): void {
    const lost = [...this.#flying];
    this.#link = link;
    this.#flying.clear();
    this.#load = 0;
    if (isTooBig) this.#shrink(lost);
    for (const one of lost) {
      one.isUnsure = true;
      // Without a key it can't be announced again.
      if (this.#plain.has(one.channel)) this.#reject(one, new Error("the connection ended before a reply"));
    }
    this.#plain.clear();
    this.#lanes.clear();
    for (const one of this.#pending) this.#enqueue(one);
    this.#schedule();
  }

  /** Sends less at a time, unless one message was too big by itself. */
  #shrink(lost: Pending[]): void {
    const [largest] = lost.sort((one, other) => other.size - one.size);
    if (largest && largest.size > this.#pace.size) {
      const why = `a message of ${largest.size} characters is more than the server takes`;
      this.#reject(largest, new Refused("limit", why), false);
    } else this.#pace.shrink();
  }

  // --- sending

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Announcements of one turn go out together.
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const link = this.#link;
    this.#isScheduled = false;
    for (const [channel, lane] of [...this.#lanes]) {
      if (!link || lane.flying > 0 || lane.isPaused) continue;
      if (lane.queue.size === 0) this.#lanes.delete(channel);
      else if (lane.isHeld) this.#pause(lane, link);
      else this.#send(channel, lane, link);
    }
  }

  /** Sends the oldest announcements of a channel, as many as may be in flight. */
  #send(channel: string, lane: Lane, link: Transport): void {
    const batch: Pending[] = [];
    const errors: Refused[] = [];
    let lines = "";
    const isPlain = this.#plain.has(channel);
    lane.isPlain = isPlain;
    for (const one of lane.queue) {
      const { key, text, size } = one;
      const name = isPlain ? `announce ${channel}` : `once ${key}`;
      const isFull = this.#load > 0 && this.#load + size > this.#pace.size;
      const isMany = batch.length >= (link.home ? this.#pace.lines : 1);
      // Requests can't be repeated in order if there are several. Replies name no more than the key.
      if (isFull || isMany || (!isPlain && link.asked.has(name))) break;
      batch.push(one);
      this.#flying.add(one);
      this.#load += size;
      lane.flying += 1;
      lines += isPlain ? `${name} ${text}\n` : `${name} ${channel} ${text}\n`;
      link.expect(name, (outcome) => {
        if (!isPlain) this.#landed(lane, one, outcome);
        else if (outcome instanceof Refused) errors.push(outcome);
      });
    }
    if (batch.length === 0) return;
    link.write(lines, batch.length);
    // Channels take turns.
    this.#lanes.delete(channel);
    this.#lanes.set(channel, lane);
    if (!isPlain) return;
    // Only errors are replies; a barrier shows that there are no more of them.
    link.ask("ping", "", () => {
      link.asked.delete(`announce ${channel}`);
      // The server refuses all announcements of a frame, or the last ones.
      const accepted = batch.length - errors.length;
      for (const [i, one] of batch.entries()) this.#landed(lane, one, errors[i - accepted]);
    });
  }

  #landed(lane: Lane, one: Pending, outcome: Outcome): void {
    this.#flying.delete(one);
    this.#load -= one.size;
    lane.flying -= 1;
    if (outcome instanceof Refused) this.#refused(lane, one, outcome);
    else if (this.#drop(one)) {
      lane.failures = 0;
      one.resolve(outcome);
    }
    this.#schedule();
    this.#noticed();
  }

  #refused(lane: Lane, one: Pending, error: Refused): void {
    const { code } = error;
    if (code === "no-history" && !lane.isPlain) this.#plain.add(one.channel);
    else if (isTemporary(code) || (code === "uncertain" && !lane.isPlain)) {
      lane.isHeld = true;
      one.isUnsure ||= code === "uncertain";
      // Requests can't announce everything that an earlier WebSocket can.
    } else this.#reject(one, error, one.isUnsure && code === "invalid");
  }

  #pause(lane: Lane, link: Transport): void {
    lane.isHeld = false;
    lane.isPaused = true;
    after(this.#environment, backoff(this.#environment, lane.failures), link.signal, () => {
      lane.isPaused = false;
      this.#schedule();
    });
    lane.failures += 1;
  }
}
