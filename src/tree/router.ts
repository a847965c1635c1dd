/** Routes messages: to this object's own connections, down its links, or to the root of their channel. */
import { ChannelLog } from "../channel/channel-log.ts";
import type { HistoryEvents } from "../channel/history.ts";
import type { AppendedMessages } from "../channel/log.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { formatPosition } from "../protocol/replies.ts";
import type {
  AnnounceAnswer,
  Announcement,
  CounterReport,
  Delivery,
  DeliveryAnswer,
  MissedAnswer,
  MissedRequest,
} from "../runtime/calls.ts";
import { hasHistory, type Limits } from "../runtime/limits.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Schedule } from "../runtime/schedule.ts";
import type { Counters } from "../stats/counters.ts";
import { Capacity } from "./capacity.ts";
import { CatchUp } from "./catch-up.ts";
import { Downstream, type DownstreamEvents } from "./downstream.ts";
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

/** Closes connections that would miss messages. */
export interface SubscriberEvents {
  /** Messages of a channel are missing: its subscribers have to be closed. */
  lost(channel: string): void;
}

interface RouterParts {
  runtime: Runtime;
  limits: Limits;
  connections: Subscribers;
  counters: Counters;
  schedule: Schedule;
  outage: Outage;
}

export class Router implements Receiver, DownstreamEvents, HistoryEvents {
  readonly channel: ChannelLog;
  readonly downstream: Downstream;
  readonly capacity: Capacity;
  readonly #runtime: Runtime;
  readonly #connections: Subscribers;
  readonly #counters: Counters;
  readonly #schedule: Schedule;
  readonly #outage: Outage;
  readonly #upstream: Upstream;
  readonly #forwarding: Forwarding;
  readonly #catchUp: CatchUp;
  /** The channel whose root this object is, or a child of it. */
  readonly #own: string;
  #events: SubscriberEvents | undefined;

  constructor({ runtime, limits, connections, counters, schedule, outage }: RouterParts) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#counters = counters;
    this.#schedule = schedule;
    this.#outage = outage;
    this.#own = channelOf(runtime.name);
    const history = hasHistory(limits, runtime.name) ? limits : { ...limits, historySeconds: 0 };
    this.channel = new ChannelLog(runtime, history, connections, schedule, this);
    this.downstream = new Downstream(runtime, limits.maxBufferedBytes, this.channel, schedule, this);
    this.capacity = new Capacity(runtime, limits, connections, this.downstream);
    this.#upstream = new Upstream(runtime, this.channel, this, connections, schedule);
    this.#forwarding = new Forwarding(runtime, limits.maxBufferedBytes, this.#upstream);
    this.#catchUp = new CatchUp(runtime);
  }

  /** Restores messages and links from storage: first the position, then the links that go by it. */
  start(events: SubscriberEvents): void {
    this.#events = events;
    this.channel.start();
    this.downstream.start();
    this.capacity.start();
    const hasCrashed = this.#upstream.start() && !this.#connections.hasSlept;
    // Storage may have refused to note that these links are lost.
    if (!this.#isRootOf(this.#own) && !this.#upstream.has(this.#own)) this.downstream.loseAll();
    if (this.downstream.isBusy) this.#schedule.flush();
    if (hasCrashed) this.channel.history?.retainPosition();
  }

  // --- announcements

  /**
   * Announces messages, formatted as lines, that get consecutive positions.
   * @returns a promise that resolves when they have their positions and have been passed on here; undefined if that is
   *   so already
   * @throws QueueFull if none was announced; anything else if that is unknown
   */
  announce(channel: string, lines: string, count: number): Promise<void> | undefined {
    if (!this.#isRootOf(channel)) return this.#forward(channel, lines, count);
    this.#counters.count("announcements", count);
    this.append({ lines, count });
    return undefined;
  }

  async #forward(channel: string, lines: string, count: number): Promise<void> {
    const last = await this.#forwarding.forward(channel, lines, count);
    this.#counters.count("announcements", count);
    await this.#upstream.reached(channel, last);
  }

  /** Gives messages of this root's channel their positions, and passes them on. */
  append({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): AppendedMessages {
    const appended = this.channel.append(lines, count, key, this.downstream.size > 0);
    this.#appended(appended);
    this.#publish(this.#own, lines, count);
    return appended;
  }

  #appended({ last }: AppendedMessages): void {
    if (this.downstream.size > 0 || this.channel.hasHistory) this.downstream.appended(last);
  }

  /**
   * Announces a message, formatted as a line, unless it was announced under the same key.
   * @returns at its root, the position of the first announcement, or undefined if the key was used for another message;
   *   elsewhere a promise of its position, which rejects with KeyConflict, or like `announce`
   */
  announceOnce(channel: string, key: string, line: string): Promise<number> | AppendedMessages | undefined {
    if (!this.#isRootOf(channel)) return this.#forwardOnce(channel, key, line);
    if (this.channel.history?.announcedUnder(key) === undefined) this.#counters.count("announcements");
    return this.#appendOnce({ lines: line, count: 1, key });
  }

  async #forwardOnce(channel: string, key: string, line: string): Promise<number> {
    const position = await this.#forwarding.forward(channel, line, 1, key);
    this.#counters.count("announcements");
    // A message that was announced long ago isn't delivered again.
    if (this.#upstream.isUnlocated(channel)) await this.locate(channel);
    await this.#upstream.reached(channel, position);
    return position;
  }

  /** Appends messages at this root unless they were announced under their key; undefined if others were. */
  #appendOnce({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): AppendedMessages | undefined {
    const known = key === undefined ? undefined : this.channel.history?.announcedUnder(key);
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
    const isNew = key === undefined || history?.announcedUnder(key) === undefined;
    const newest = expected === undefined || !isNew ? undefined : this.channel.locate();
    if (newest !== undefined && newest !== expected) return () => ({ newest });
    if (isNew) this.#counters.count("announcements", count);
    const appended = this.#appendOnce({ lines, count, key });
    if (!appended) return () => ({ conflict: true });
    return () => ({ last: hasHistory ? appended.last : undefined });
  }

  // --- deliveries

  /** Receives a delivery of another object. */
  deliver(delivery: Delivery): DeliveryAnswer {
    return this.#upstream.deliver(delivery);
  }

  receive(channel: string, lines: string, count: number, after: number): void {
    this.#catchUp.append(channel, lines, count);
    if (channel === this.#own) this.#appended(this.channel.relay(lines, count, after, this.downstream.size > 0));
    this.#publish(channel, lines, count);
  }

  #publish(channel: string, lines: string, count: number): void {
    this.#connections.publish(channel, lines);
    this.#counters.count("messages", count * this.#connections.subscribers(channel));
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

  /** Storage refuses messages, so this root has renumbered them. */
  renumbered(position: number, count: number): void {
    this.downstream.scheduleDelivery();
    this.#insertPosition(this.#runtime.name, position, count);
  }

  /**
   * Sends the new position of a channel to the connections that count positions on, before the newest `count` messages,
   * which were gathered for them and not sent.
   */
  #insertPosition(channel: string, position: number, count: number): void {
    this.#connections.insert(channel, formatPosition(channel, position), count);
  }

  lose(channel: string): void {
    this.#catchUp.abort(channel);
    this.#events?.lost(channel);
    if (channel === this.#own) this.downstream.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }

  /** Starts to deliver messages to links. */
  flush(): void {
    this.downstream.flush();
  }

  /** Stores the messages to retain, before lines that tell of them are sent. */
  store(): void {
    this.channel.store();
  }

  // --- missed messages

  /**
   * Passes on the missed messages of a channel, up to where a subscription that begins at that moment continues.
   * @throws Unreachable if the channel can't be linked; anything if its root doesn't answer
   */
  readMissed(channel: string, wanted: MissedRequest, take: (kept: MissedAnswer) => void): Promise<void> | undefined {
    if (!this.#isRootOf(channel)) return this.#readMissedRemotely(channel, wanted, take);
    take(this.channel.readMissed(wanted));
    return undefined;
  }

  async #readMissedRemotely(channel: string, wanted: MissedRequest, take: (kept: MissedAnswer) => void): Promise<void> {
    const position = () => this.positionOf(channel);
    const reached = (position: number) => this.#upstream.reached(channel, position);
    for (let tries = 0; tries < MAX_TRIES; ) {
      if (position() === undefined) await this.locate(channel);
      else if (await this.#catchUp.readMissed(channel, { position, reached }, wanted, take)) return;
      else tries += 1;
    }
    throw new Unreachable("too much is announced meanwhile");
  }

  /** The position after which a subscription that begins now continues; undefined if `locate` has to find out. */
  positionOf(channel: string): number | undefined {
    return this.#isRootOf(channel) ? this.channel.locate() : this.#upstream.positionOf(channel);
  }

  /**
   * Finds out this object's position in a channel, and links it if need be. As with `join`, callers have to check
   * whether that still holds.
   * @throws Unreachable if the channel can't be linked
   */
  locate(channel: string): Promise<void> {
    // After hibernation only the parent knows.
    if (this.#upstream.isLinked(channel)) this.#upstream.doubt(channel);
    return this.#upstream.join(channel);
  }

  /** Retains a channel's position for a connection that counted on from it and has left. */
  retainPosition(channel: string): void {
    if (this.#isRootOf(channel)) this.channel.history?.retainPosition();
  }

  /** Whether clients or linked objects count on from this object's position. The root of `all` never forgets its own. */
  get #isCounted(): boolean {
    return this.#own === EVERYONE || this.downstream.size > 0 || this.#connections.isCounted(this.#own);
  }

  // --- links

  /** Whether messages of a channel are received here. */
  isLive(channel: string): boolean {
    return this.#isRootOf(channel) || this.#upstream.isLinked(channel);
  }

  /**
   * Links this object to a channel. Callers have to check whether that still holds when they continue: another caller
   * that waited for the same link may have ended it.
   * @throws Unreachable if the channel can't be linked
   */
  join(channel: string): Promise<void> {
    return this.#upstream.join(channel);
  }

  /**
   * Whether another object may rely on this one for its own channel without this one asking its parent first.
   * @param vouched the epoch of the link that the parent has vouched for to the other object
   */
  isVouchedFor(vouched: number | undefined): boolean {
    return this.#isRootOf(this.#own) || this.#upstream.isVouchedFor(this.#own, vouched);
  }

  /** Confirms the link to this object's own channel, so that others may rely on it. */
  async confirmOwn(): Promise<void> {
    this.#upstream.doubt(this.#own);
    while (!this.isLive(this.#own)) await this.join(this.#own);
  }

  needs(channel: string): boolean {
    if (channel === this.#own && this.downstream.size > 0) return true;
    // Every object with connections is linked to `all`, so that the root of `all` knows of it.
    if (channel === EVERYONE) return this.#connections.size > 0;
    return this.#connections.subscribers(channel) > 0 || this.#catchUp.isPending(channel);
  }

  /** Ends the link to a channel, by default this object's own, if this object no longer needs it. */
  leaveIfUnneeded(channel = this.#own): void {
    if (!this.#isRootOf(channel) && !this.needs(channel)) this.#upstream.leave(channel);
  }

  takeCounters(channel: string): CounterReport | undefined {
    return channel === EVERYONE ? this.#counters.takeReport() : undefined;
  }

  ended(object: string): void {
    if (this.capacity.isChild(object)) this.capacity.remove(object);
    this.leaveIfUnneeded();
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
    const joined = this.#upstream.join(EVERYONE).catch(() => this.#outage.goOn());
    this.#runtime.keep(joined);
    return joined;
  }

  /** Notes where this object's connections come from, unless that is known. */
  comeFrom(region: string): void {
    this.#upstream.region ||= region;
  }

  // --- upkeep

  /** Deletes expired messages. */
  expire(): void {
    this.channel.expire(this.#isCounted);
    this.downstream.trim();
  }

  /** Tells other objects again that links have ended or are lost, if it is time to. */
  retry(): void {
    this.downstream.reportLosses();
    this.#upstream.retry();
  }

  /** When to call `retry`, in milliseconds since 1970; infinite if nothing is left to do. */
  get dueAt(): number {
    return Math.min(this.downstream.lossReportAt, this.#upstream.dueAt);
  }

  /** Ends links whose messages are overdue; returns whether others are awaited. */
  loseOverdue(): boolean {
    return this.#upstream.loseOverdue();
  }

  /**
   * Persists the state of channel and links.
   * @returns whether storage or an attachment has all of it
   */
  settle(): boolean {
    const isSettled = this.downstream.settle(this.#isCounted);
    if (!isSettled) this.downstream.flush();
    this.#upstream.settle();
    return isSettled;
  }

  #isRootOf(channel: string): boolean {
    return channel === this.#runtime.name;
  }
}
