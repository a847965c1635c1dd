/** Where a message goes: to this object's own sockets, down its links, or to the root of its channel. */

import type { Placed } from "../channel/log.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { formatPosition } from "../protocol/replies.ts";
import type {
  Announced,
  Announcement,
  CounterReport,
  Delivery,
  DeliveryAnswer,
  Kept,
  Missing,
} from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import { Recovery } from "./catch-up.ts";
import type { Downstream } from "./downstream.ts";
import { Forwarding } from "./forwarding.ts";
import { type Listeners, Unreachable, Upstream } from "./upstream.ts";

/** How often a recovery begins anew where its object loses its place in the channel meanwhile. */
const MOST_TRIES = 10;

export interface RouterEvents {
  /** Messages of `channel` are missing: nobody who is subscribed to it here may go on. */
  lost(channel: string): void;
  /** `all` can't be joined now, and is to be joined later. */
  apart(): void;
  /** A message is waited for: `loseLate` is to be called now and then. */
  awaited(): void;
  /** A link to another object has ended; if that could not be told, `retry` is to be called at `dueAt`. */
  left(): void;
}

/** The connections of this object, as far as messages for them need it. */
export interface Subscribers extends Keeper {
  readonly size: number;
  /** Whether connections have outlived hibernation. */
  readonly hasSlept: boolean;
  /** Returns the number of connections that are subscribed to a channel. */
  subscribers(channel: string): number;
  /** Whether any subscriber of a channel counts positions on. */
  isCounted(channel: string): boolean;
  publish(channel: string, lines: string): void;
  /** Inserts a line before the newest `count` messages of a channel, for subscribers that count positions on. */
  insert(channel: string, line: string, count: number): void;
}

export class Router implements Listeners {
  readonly #runtime: Runtime;
  readonly #connections: Subscribers;
  readonly #downstream: Downstream;
  readonly #counters: Counters;
  readonly #events: RouterEvents;
  readonly #upstream: Upstream;
  readonly #forwarding: Forwarding;
  readonly #recovery: Recovery;
  /** The channel whose root this object is, or a child of it. */
  readonly #own: string;
  /** Whether an earlier life of this object crashed while it had connections. */
  readonly hasCrashed: boolean;

  /** @param maxBuffered characters that may wait for one other channel's object */
  constructor(
    runtime: Runtime,
    connections: Subscribers,
    downstream: Downstream,
    counters: Counters,
    maxBuffered: number,
    events: RouterEvents,
  ) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#counters = counters;
    this.#events = events;
    this.#own = channelOf(runtime.name);
    this.#upstream = new Upstream(runtime, downstream.log, this, connections);
    this.#forwarding = new Forwarding(runtime, maxBuffered, this.#upstream);
    this.#recovery = new Recovery(runtime);
    this.hasCrashed = this.#upstream.leaveUnheard() && !connections.hasSlept;
    // Storage may not have taken it that they are lost.
    if (!this.#isRootOf(this.#own) && !this.#upstream.has(this.#own)) downstream.loseAll();
  }

  // --- the way of a message

  /**
   * Announces messages, formatted as lines, next to each other.
   * @returns what resolves when they have their positions, and what comes of them here has been handed on
   * @throws QueueFull if none was announced; anything else if nobody knows
   */
  announce(channel: string, lines: string, count: number): Promise<void> | undefined {
    if (!this.#isRootOf(channel)) return this.#announceAfar(channel, lines, count);
    this.#counters.count("announcements", count);
    this.take({ lines, count });
    return undefined;
  }

  async #announceAfar(channel: string, lines: string, count: number): Promise<void> {
    const last = await this.#forwarding.forward(channel, lines, count);
    this.#counters.count("announcements", count);
    await this.#upstream.reached(channel, last);
  }

  /** Gives messages of this root's channel their positions, and passes them on. */
  take({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): Placed {
    const placed = this.#downstream.append(lines, count, key);
    this.#publish(this.#own, lines, count);
    return placed;
  }

  /** Takes what another object passes on. */
  deliver(delivery: Delivery): DeliveryAnswer {
    return this.#upstream.deliver(delivery);
  }

  /**
   * Announces a message, formatted as a line, unless it was announced under the same key.
   * @returns at its root, where it was placed first, or undefined if the key was used for another message; elsewhere a
   *   promise of its position, which rejects with KeyConflict, or as `announce` does
   */
  announceOnce(channel: string, key: string, line: string): Promise<number> | Placed | undefined {
    if (!this.#isRootOf(channel)) return this.#announceOnceAfar(channel, key, line);
    if (this.#downstream.history?.announcedUnder(key) === undefined) this.#counters.count("announcements");
    return this.#takeOnce({ lines: line, count: 1, key });
  }

  async #announceOnceAfar(channel: string, key: string, line: string): Promise<number> {
    const position = await this.#forwarding.forward(channel, line, 1, key);
    this.#counters.count("announcements");
    // One that was announced long ago does not arrive any more.
    if (this.#upstream.isUnlocated(channel)) await this.locate(channel);
    await this.#upstream.reached(channel, position);
    return position;
  }

  /** Announces messages at this root unless they were under their key; undefined if others were. */
  #takeOnce({ lines, count, key }: Pick<Announcement, "lines" | "count" | "key">): Placed | undefined {
    const known = key === undefined ? undefined : this.#downstream.history?.announcedUnder(key);
    if (!known) return this.take({ lines, count, key });
    return known.lines === lines ? known : undefined;
  }

  /** The same for several messages with a key each, as lines one after another. */
  takeEachOnce(keys: string[], lines: string): (Placed | undefined)[] {
    const each = lines.split("\n");
    return keys.map((key, i) => this.#takeOnce({ lines: `${each[i]}\n`, count: 1, key }));
  }

  /**
   * Announces what has not come by a socket, at this root.
   * @returns the answer, which is final when the messages are stored
   */
  announceHere({ lines, count, key, expected }: Announcement): () => Announced {
    const { keepsHistory, history } = this.#downstream;
    if (!keepsHistory && (key !== undefined || expected !== undefined)) return () => ({ none: true });
    const isNew = key === undefined || history?.announcedUnder(key) === undefined;
    const newest = expected === undefined || !isNew ? undefined : this.#downstream.locate();
    if (newest !== undefined && newest !== expected) return () => ({ newest });
    if (isNew) this.#counters.count("announcements", count);
    const placed = this.#takeOnce({ lines, count, key });
    if (!placed) return () => ({ conflict: true });
    return () => ({ last: keepsHistory ? placed.last : undefined });
  }

  /** Stores what is to be kept of this root's channel, before any of it goes out. */
  store(): void {
    this.#downstream.store();
  }

  hear(channel: string, lines: string, count: number, after: number): void {
    this.#recovery.hear(channel, lines, count);
    if (channel === this.#own) this.#downstream.relay(lines, count, after);
    this.#publish(channel, lines, count);
  }

  #publish(channel: string, lines: string, count: number): void {
    this.#connections.publish(channel, lines);
    this.#counters.count("messages", count * this.#connections.subscribers(channel));
  }

  renumber(channel: string, position: number): void {
    // What is under way begins anew, under these numbers.
    this.#recovery.lose(channel);
    if (channel === this.#own) this.#downstream.renumber(position);
    this.renumberHere(channel, position, 0);
  }

  /**
   * Tells connections that count on in a channel its new position: before the newest `count` messages of it, which were
   * gathered for them and not sent.
   */
  renumberHere(channel: string, position: number, count: number): void {
    this.#connections.insert(channel, formatPosition(channel, position), count);
  }

  lose(channel: string): void {
    this.#recovery.lose(channel);
    this.#events.lost(channel);
    if (channel === this.#own) this.#downstream.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }

  takeCounters(channel: string): CounterReport | undefined {
    return channel === EVERYONE ? this.#counters.takeReport() : undefined;
  }

  ended(): void {
    this.#events.left();
  }

  awaited(): void {
    this.#events.awaited();
  }

  /** Ends links by which a message is too late; says whether others are waited for. */
  loseLate(): boolean {
    return this.#upstream.loseLate();
  }

  // --- what was missed

  /**
   * Hands over what was missed of a channel: up to where that goes on for who subscribes at that moment.
   * @throws Unreachable if the channel cannot be heard; anything if its root does not answer
   */
  recover(channel: string, wanted: Missing, take: (kept: Kept) => void): Promise<void> | undefined {
    if (!this.#isRootOf(channel)) return this.#recoverAfar(channel, wanted, take);
    take(this.#downstream.recover(wanted));
    return undefined;
  }

  async #recoverAfar(channel: string, wanted: Missing, take: (kept: Kept) => void): Promise<void> {
    const position = () => this.positionOf(channel);
    const reached = (position: number) => this.#upstream.reached(channel, position);
    for (let tries = 0; tries < MOST_TRIES; ) {
      if (position() === undefined) await this.locate(channel);
      else if (await this.#recovery.recover(channel, { position, reached }, wanted, take)) return;
      else tries += 1;
    }
    throw new Unreachable("too much is announced meanwhile");
  }

  /** The position after which who subscribes to a channel now hears it; undefined if `locate` has to find out. */
  positionOf(channel: string): number | undefined {
    return this.#isRootOf(channel) ? this.#downstream.locate() : this.#upstream.positionOf(channel);
  }

  /**
   * Finds out where in a channel this object is, and links it if need be. Whoever waits has to look whether that
   * still holds, as with `join`.
   * @throws Unreachable if the channel cannot be heard
   */
  locate(channel: string): Promise<void> {
    // After sleep it is not known: the parent knows.
    if (this.#upstream.isLinked(channel)) this.#upstream.doubt(channel);
    return this.#upstream.join(channel);
  }

  /** Has a channel's position be there for a connection that counted on from it and has left. */
  keepPosition(channel: string): void {
    if (this.#isRootOf(channel)) this.#downstream.history?.keepPosition();
  }

  /**
   * Whether clients, here or at linked objects, count on from this object's own position. The root of `all` never
   * forgets its own.
   */
  get isCounted(): boolean {
    return this.#own === EVERYONE || this.#downstream.size > 0 || this.#connections.isCounted(this.#own);
  }

  // --- which channels reach this object

  /** Whether messages of `channel` reach this object. */
  isLive(channel: string): boolean {
    return this.#isRootOf(channel) || this.#upstream.isLinked(channel);
  }

  /**
   * Links this object to `channel`. Whoever waits has to look whether that still holds when it goes on:
   * someone else who waited for the same link may have ended it by leaving.
   * @throws Unreachable if that is not to be had
   */
  join(channel: string): Promise<void> {
    return this.#upstream.join(channel);
  }

  /**
   * Whether another object may rely on this one for its own channel, without this one asking its parent first.
   * @param vouched the epoch of the link that its parent counts on, as the other object was told
   */
  isVouchedFor(vouched: number | undefined): boolean {
    return this.#isRootOf(this.#own) || this.#upstream.isVouchedFor(this.#own, vouched);
  }

  /** Has this object make sure of the link to its own channel before others rely on it. */
  doubtOwn(): void {
    this.#upstream.doubt(this.#own);
  }

  listens(channel: string): boolean {
    if (channel === this.#own && this.#downstream.size > 0) return true;
    // Every object with sockets is linked to `all`, so that the root of `all` knows of it.
    if (channel === EVERYONE) return this.#connections.size > 0;
    return this.#connections.subscribers(channel) > 0 || this.#recovery.isFor(channel);
  }

  /** Ends the link to `channel`, or to this object's own one, if that is there for nobody any more. */
  leaveIfUnheard(channel = this.#own): void {
    if (!this.#isRootOf(channel) && !this.listens(channel)) this.#upstream.leave(channel);
  }

  /** Whether every socket here can hear `all`. */
  get hearsEveryone(): boolean {
    return !this.listens(EVERYONE) || this.isLive(EVERYONE);
  }

  /** Links this object to `all` if its sockets need that; undefined if they do not. Never rejects. */
  joinEveryone(): Promise<void> | undefined {
    if (this.hearsEveryone) return undefined;
    const joined = this.#upstream.join(EVERYONE).catch(() => this.#events.apart());
    this.#runtime.keep(joined);
    return joined;
  }

  /** Tells other objects again that links have ended, which could not be told. */
  retry(): void {
    this.#upstream.retry();
  }

  /** When to call `retry`, in milliseconds since 1970; infinite if there is no need. */
  get dueAt(): number {
    return this.#upstream.dueAt;
  }

  /** Has what storage could not be told outlive sleep. */
  settle(): void {
    this.#upstream.settle();
  }

  /** Notes where this object's connections come from, unless that is known. */
  comeFrom(region: string): void {
    this.#upstream.region ||= region;
  }

  #isRootOf(channel: string): boolean {
    return channel === this.#runtime.name;
  }
}
