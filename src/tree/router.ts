/** Routes messages: to this object's own connections, down its links, or to the root of their channel. */
import { ChannelLog } from "../channel/channel-log.ts";
import type { AppendedMessages } from "../channel/log.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { formatPosition } from "../protocol/replies.ts";
import type { AnnounceAnswer, Announcement, CounterReport, MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import { hasHistory, type Limits } from "../runtime/limits.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Keeper } from "../runtime/runtime.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import type { Counters } from "../stats/counters.ts";
import { Capacity } from "./capacity.ts";
import { CatchUp } from "./catch-up.ts";
import { Downstream } from "./downstream.ts";
import { Forwarding } from "./forwarding.ts";
import type { Outage } from "./outage.ts";
import { type Receiver, Unreachable, Upstream } from "./upstream.ts";

/** How often missed messages are read again if the object's link to the channel changes meanwhile. */
const MAX_TRIES = 10;

/** The connections of this object, as the router uses them. */
export interface Subscribers extends Keeper {
  readonly size: number;
  /** Whether they take so much memory that new ones should go elsewhere. */
  readonly isCrowded: boolean;
  /** Returns the number of connections that are subscribed to a channel. */
  subscribers(channel: string): number;
  /** Whether any subscriber of a channel counts positions on. */
  isCounted(channel: string): boolean;
  /** Gathers lines for every subscriber of a channel. */
  publish(channel: string, lines: string): void;
  /** Inserts a line before the newest `count` messages of a channel, for subscribers that count positions on. */
  insert(channel: string, line: string, count: number): void;
}

export interface RouterParts extends CoreParts {
  readonly limits: Limits;
  readonly connections: Subscribers;
  readonly counters: Counters;
  readonly outage: Outage;
  /** Closes the subscribers of a channel whose messages are missing. */
  readonly lifecycle: { lost(channel: string): void };
  /** Learns that this object has linked to `all`. */
  readonly revokedTokens: { linked(): void };
}

export class Router implements Receiver {
  readonly channel: ChannelLog;
  readonly downstream: Downstream;
  readonly upstream: Upstream;
  readonly capacity: Capacity;
  readonly #parts: RouterParts;
  readonly #forwarding: Forwarding;
  readonly #catchUp: CatchUp;
  /** The channel whose root this object is, or a child of it. */
  readonly #own: string;

  constructor(parts: RouterParts) {
    const { runtime, limits } = parts;
    this.#parts = parts;
    this.#own = channelOf(runtime.name);
    const history = hasHistory(limits, runtime.name) ? limits : { ...limits, historySeconds: 0 };
    this.channel = new ChannelLog(parts, history, (position, count) => this.#renumbered(position, count));
    this.downstream = new Downstream(parts, this.channel, (object) => this.#unlinked(object));
    this.capacity = new Capacity(parts, this.downstream);
    this.upstream = new Upstream(parts, this.channel.log, this);
    this.#forwarding = new Forwarding(runtime, limits.maxBufferedBytes, this.upstream);
    this.#catchUp = new CatchUp(runtime);
  }

  /** Restores messages and links from storage: first the position, then the links that go by it. */
  start(): void {
    this.channel.history?.restore();
    this.downstream.start();
    this.capacity.start();
    const hasCrashed = this.upstream.start() && !this.#parts.connections.hasSlept;
    // Storage may have refused to note that these links are lost.
    if (!this.#isRootOf(this.#own) && !this.upstream.has(this.#own)) this.downstream.loseAll();
    if (this.downstream.isBusy) this.#parts.schedule.flush();
    if (hasCrashed) this.channel.history?.retainPosition();
  }

  // --- announcements

  /**
   * Announces messages, formatted as lines, that get consecutive positions.
   * @returns a promise that resolves when they have their positions and have been passed on here; undefined if that is
   *   so already
   * @throws QueueFull if none was announced; anything else if that is unknown
   */
  announce(channel: string, lines: string, count: number): Promise<unknown> | undefined {
    if (!this.#isRootOf(channel)) return this.#forward(channel, lines, count);
    this.#parts.counters.count("announcements", count);
    this.append({ lines, count });
    return undefined;
  }

  /** Gives messages of this root's channel their positions, and passes them on. */
  append({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): AppendedMessages {
    const appended = this.downstream.append(lines, count, key);
    this.#publish(this.#own, lines, count);
    return appended;
  }

  /**
   * Announces a message, formatted as a line, unless it was announced under the same key.
   * @returns at its root, the position of the first announcement, or undefined if the key was used for another message;
   *   elsewhere a promise of its position, which rejects with KeyConflict, or like `announce`
   */
  announceOnce(channel: string, key: string, line: string): Promise<number> | AppendedMessages | undefined {
    if (!this.#isRootOf(channel)) return this.#forward(channel, line, 1, key);
    if (this.channel.history?.index.announcedUnder(key) === undefined) this.#parts.counters.count("announcements");
    return this.#appendOnce({ lines: line, count: 1, key });
  }

  async #forward(channel: string, lines: string, count: number, key?: string): Promise<number> {
    const last = await this.#forwarding.forward(channel, lines, count, key);
    this.#parts.counters.count("announcements", count);
    // A message that was announced long ago isn't delivered again.
    if (key !== undefined && this.upstream.isUnlocated(channel)) await this.#locate(channel);
    await this.upstream.reached(channel, last);
    return last;
  }

  /** Appends messages at this root unless they were announced under their key; undefined if others were. */
  #appendOnce({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): AppendedMessages | undefined {
    const known = key === undefined ? undefined : this.channel.history?.index.announcedUnder(key);
    if (!known) return this.append({ lines, count, key });
    return known.lines === lines ? known : undefined;
  }

  /** Appends several messages, each under its own key; they are lines one after another. */
  appendEachOnce(keys: string[], lines: string): (AppendedMessages | undefined)[] {
    const each = lines.split("\n");
    return keys.map((key, i) => this.#appendOnce({ lines: `${each[i]}\n`, count: 1, key }));
  }

  /**
   * Announces messages at this root that didn't come from a connection.
   * @returns a function that returns the answer, which is final when the messages are stored
   */
  announceHere({ lines, count, key, expected }: Announcement): () => AnnounceAnswer {
    const { hasHistory, history } = this.channel;
    if (!hasHistory && (key !== undefined || expected !== undefined)) return () => ({ none: true });
    const isNew = key === undefined || history?.index.announcedUnder(key) === undefined;
    const newest = expected === undefined || !isNew ? undefined : this.channel.locate();
    if (newest !== undefined && newest !== expected) return () => ({ newest });
    if (isNew) this.#parts.counters.count("announcements", count);
    const appended = this.#appendOnce({ lines, count, key });
    if (!appended) return () => ({ conflict: true });
    return () => ({ last: hasHistory ? appended.last : undefined });
  }

  // --- deliveries

  receive(channel: string, lines: string, count: number, after: number): void {
    this.#catchUp.append(channel, lines, count);
    if (channel === this.#own) this.downstream.relay(lines, count, after);
    this.#publish(channel, lines, count);
  }

  #publish(channel: string, lines: string, count: number): void {
    const { connections, counters } = this.#parts;
    connections.publish(channel, lines);
    counters.count("messages", count * connections.subscribers(channel));
  }

  renumber(channel: string, position: number): void {
    // Reads in progress begin again, under these numbers.
    this.#catchUp.abort(channel);
    if (channel === this.#own) {
      this.channel.renumber(position);
      this.downstream.scheduleDelivery();
    }
    this.#insertPosition(channel, position, 0);
  }

  /** Storage refuses messages, so this root has moved the newest `count` to the positions after `position`. */
  #renumbered(position: number, count: number): void {
    this.downstream.scheduleDelivery();
    this.#insertPosition(this.#own, position, count);
  }

  /**
   * Sends the new position of a channel to the connections that count positions on, before the newest `count` messages,
   * which were gathered for them and not sent.
   */
  #insertPosition(channel: string, position: number, count: number): void {
    this.#parts.connections.insert(channel, formatPosition(channel, position), count);
  }

  lose(channel: string): void {
    this.#catchUp.abort(channel);
    this.#parts.lifecycle.lost(channel);
    if (channel === this.#own) this.downstream.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }

  // --- missed messages

  /**
   * Passes on the missed messages of a channel, up to where a subscription that begins at that moment continues.
   * @throws Unreachable if the channel can't be linked; anything if its root doesn't answer, or that `accept` throws
   */
  async readMissed(channel: string, wanted: MissedRequest, accept: (answer: MissedAnswer) => void): Promise<void> {
    if (this.#isRootOf(channel)) return accept(this.channel.readMissed(wanted));
    for (let tries = 0; tries < MAX_TRIES; ) {
      if (this.upstream.positionOf(channel) === undefined) await this.#locate(channel);
      else if (await this.#catchUp.readMissed(channel, this.upstream, wanted, accept)) return;
      else tries += 1;
    }
    throw new Unreachable("too much is announced meanwhile");
  }

  /** The position after which a subscription that begins now continues; undefined if it isn't known. */
  positionOf(channel: string): number | undefined {
    return this.#isRootOf(channel) ? this.channel.locate() : this.upstream.positionOf(channel);
  }

  /**
   * Finds out this object's position in a channel, and links it if need be. As with `Upstream.join`, callers have to
   * check whether that still holds.
   * @throws Unreachable if the channel can't be linked
   */
  #locate(channel: string): Promise<void> {
    // After hibernation only the parent knows.
    if (this.upstream.isLinked(channel)) this.upstream.doubt(channel);
    return this.upstream.join(channel);
  }

  /** Retains a channel's position for a connection that counted on from it and has left. */
  retainPosition(channel: string): void {
    if (this.#isRootOf(channel)) this.channel.history?.retainPosition();
  }

  /** Whether clients or linked objects count on from this object's position. The root of `all` never forgets its own. */
  get #isCounted(): boolean {
    return this.#own === EVERYONE || this.downstream.size > 0 || this.#parts.connections.isCounted(this.#own);
  }

  // --- links

  /** Whether messages of a channel are received here. */
  isLive(channel: string): boolean {
    return this.#isRootOf(channel) || this.upstream.isLinked(channel);
  }

  /**
   * Whether another object may rely on this one for its own channel without this one asking its parent first.
   * @param vouched the epoch of the link that the parent has vouched for to the other object
   */
  isVouchedFor(vouched: number | undefined): boolean {
    return this.#isRootOf(this.#own) || this.upstream.isVouchedFor(this.#own, vouched);
  }

  /** Confirms the link to this object's own channel, so that others may rely on it. */
  async confirmOwn(): Promise<void> {
    this.upstream.doubt(this.#own);
    while (!this.isLive(this.#own)) await this.upstream.join(this.#own);
  }

  needs(channel: string): boolean {
    if (channel === this.#own && this.downstream.size > 0) return true;
    const { connections } = this.#parts;
    // Every object with connections is linked to `all`, so that the root of `all` knows of it.
    if (channel === EVERYONE) return connections.size > 0;
    return connections.subscribers(channel) > 0 || this.#catchUp.isPending(channel);
  }

  /** Ends the link to a channel if this object no longer needs it. */
  leaveIfUnneeded(channel: string): void {
    if (!this.#isRootOf(channel) && !this.needs(channel)) this.upstream.leave(channel);
  }

  takeCounters(channel: string): CounterReport | undefined {
    return channel === EVERYONE ? this.#parts.counters.takeReport() : undefined;
  }

  /** The link of an object has ended. */
  #unlinked(object: string): void {
    if (this.capacity.isChild(object)) this.capacity.remove(object);
    this.leaveIfUnneeded(this.#own);
    if (this.downstream.size === 0) this.channel.history?.retainPosition();
    this.capacity.report("links");
  }

  /** Whether every connection here receives `all`. */
  get hasEveryone(): boolean {
    return !this.needs(EVERYONE) || this.isLive(EVERYONE);
  }

  /** Links this object to `all` if its connections need it; undefined if they don't. Never rejects. */
  joinEveryone(): Promise<void> | undefined {
    if (this.hasEveryone) return undefined;
    const joined = this.upstream.join(EVERYONE).then(
      () => this.#parts.revokedTokens.linked(),
      () => this.#parts.outage.goOn(),
    );
    this.#parts.runtime.keep(joined);
    return joined;
  }

  // --- upkeep

  /** Deletes expired messages. */
  expire(): void {
    this.channel.history?.expire(this.#isCounted);
    this.downstream.trim();
  }

  /**
   * Persists the state of channel and links.
   * @returns whether storage or an attachment has all of it
   */
  settle(): boolean {
    const isSettled = this.downstream.settle(this.#isCounted);
    if (!isSettled) this.downstream.flush();
    this.upstream.settle();
    return isSettled;
  }

  #isRootOf(channel: string): boolean {
    return channel === this.#parts.runtime.name;
  }
}
