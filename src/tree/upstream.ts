/** The receiving end of links: this object's subscriptions to channels, for its own subscribers and links. */
import type { Log } from "../channel/log.ts";
import { dropLines } from "../protocol/frames.ts";
import type { CounterReport, Delivery, DeliveryAnswer } from "../runtime/calls.ts";
import { channelOf, parentOf } from "../runtime/object-names.ts";
import { rowOf } from "../runtime/rows.ts";
import type { CoreParts } from "../runtime/schedule.ts";
import { FormerLinks } from "./former-links.ts";
import { PositionFloors } from "./position-floors.ts";
import { PositionWaiters } from "./position-waiters.ts";
import { retry } from "./retry.ts";
import { areRowsDoubtful, isLinkRow, LINK, type LinkRow, Unlinks } from "./unlinks.ts";
import { isMissingMessages, type UpstreamLink } from "./upstream-link.ts";

/** The state of a link that isn't in its row. */
type LinkState = Pick<UpstreamLink, "last" | "linked" | "hasRow" | "confirmed">;

/** Receives messages and losses from links. */
export interface Receiver {
  /** Whether this object needs a channel. */
  needs(channel: string): boolean;
  /** Receives messages of a channel, as lines, that follow the position `after`. */
  receive(channel: string, lines: string, count: number, after: number): void;
  /** The next message of a channel follows `position`: its root has given new numbers. */
  renumber(channel: string, position: number): void;
  /** Messages of a channel are missing: its subscribers may not go on as if they weren't. */
  lose(channel: string): void;
  /** Takes the counters to report when the link to a channel ends; undefined without any. */
  takeCounters(channel: string): CounterReport | undefined;
}

/** A channel can't be linked now; the message says why. */
export class Unreachable extends Error {}

/** Storage refuses rows: the platform limits them per day. */
class StorageFull extends Unreachable {}

export class Upstream {
  readonly #parts: CoreParts;
  readonly #log: Log;
  readonly #receiver: Receiver;
  readonly #floors: PositionFloors;
  readonly #links = new Map<string, UpstreamLink>();
  readonly unlinks: Unlinks;
  readonly #waiters: PositionWaiters;
  readonly #former: FormerLinks;
  /** Whether the rows of links survived hibernation rather than a crash. */
  #areRowsTrusted = false;
  #newestEpoch = 0;
  /** Where this object's connections come from; a child tells its parent. */
  region = "";

  /** @param log of this object's own channel; a child learns its position with its link */
  constructor(parts: CoreParts, log: Log, receiver: Receiver) {
    const { runtime, connections } = parts;
    this.#parts = parts;
    this.#log = log;
    this.#receiver = receiver;
    this.#waiters = new PositionWaiters(runtime);
    this.#former = new FormerLinks(runtime);
    this.#floors = new PositionFloors(connections);
    this.unlinks = new Unlinks(parts, (channel) => receiver.needs(channel));
  }

  /**
   * Restores links, and ends unneeded ones, which a crash or an unreachable parent left behind.
   * @returns whether a crash left any
   */
  start(): boolean {
    this.#areRowsTrusted = this.#parts.connections.hasSlept && !areRowsDoubtful(this.#parts.connections);
    this.#floors.start();
    let hasCrashed = false;
    for (const [key, value] of [...this.#parts.runtime.store.list(LINK)]) {
      const channel = key.slice(LINK.length);
      const row = rowOf(value, isLinkRow);
      if (!row || (row.left === undefined && this.#receiver.needs(channel))) continue;
      this.#newestEpoch = Math.max(this.#newestEpoch, row.epoch);
      this.#former.add({ channel, ...row, last: undefined });
      this.unlinks.begin({ channel, ...row, asking: undefined }, row.left);
      this.#forgetPosition(channel);
      hasCrashed ||= row.left === undefined;
    }
    return hasCrashed;
  }

  /** Whether this object has requested a link to a channel, and not ended it. */
  has(channel: string): boolean {
    return this.#link(channel) !== undefined;
  }

  /** Whether messages of a channel are received here, and others may rely on that. */
  isLinked(channel: string): boolean {
    return this.#link(channel)?.confirmed ?? false;
  }

  /**
   * Links this object to a channel, or confirms its link. When it resolves, and `isLinked` still says so, all messages
   * that get their position from then on will be received.
   * @throws Unreachable if the channel's object doesn't answer
   */
  async join(channel: string): Promise<void> {
    const link = this.#link(channel) ?? this.#ask(channel);
    if (!link.confirmed) link.asking ??= this.#untilConfirmed(link);
    await link.asking;
  }

  /**
   * Whether the link to a channel is the one whose epoch its parent has vouched for to the object that asks. The word is
   * good for that object only, as it gets old. A child must also know its position.
   */
  isVouchedFor(channel: string, epoch: number | undefined): boolean {
    const link = this.#link(channel);
    return link?.linked === true && link.epoch === epoch && this.#log.position !== undefined;
  }

  /** The position of the newest received message of a channel; undefined if it isn't known. */
  positionOf(channel: string): number | undefined {
    const link = this.#link(channel);
    return link?.confirmed ? link.last : undefined;
  }

  /** Has the link to a channel confirmed before others rely on it. */
  doubt(channel: string): void {
    const link = this.#link(channel);
    if (!link) return;
    link.doubted = true;
    link.confirmed = false;
  }

  /** Ends the link to a channel that this object no longer needs. */
  leave(channel: string): void {
    const link = this.#link(channel);
    if (!link) return;
    this.#remove(link);
    this.#former.add(link);
    this.unlinks.begin({ ...link, counters: this.#receiver.takeCounters(channel) });
    this.#forgetPosition(channel);
  }

  /** Persists what storage refused. */
  settle(): void {
    this.unlinks.settle([...this.#links.values()].some(({ hasRow, confirmed }) => hasRow && !confirmed));
  }

  /** Receives a delivery: passes new messages on, exactly once and in order, or ends the link. */
  deliver(delivery: Delivery): DeliveryAnswer {
    const link = this.#link(delivery.channel);
    if (link?.epoch !== delivery.epoch || link.parent !== delivery.from) return this.#gone(delivery.channel);
    // The sender has given this call up, perhaps before it crashed: what it knew then is outdated.
    if (delivery.number <= link.newestDelivery) return { gone: false, newer: link.newestDelivery };
    link.newestDelivery = delivery.number;
    if (delivery.where && link.last !== undefined) return { gone: false, last: link.last };
    const isNeeded = link.asking !== undefined || this.#receiver.needs(link.channel);
    if (isNeeded && !isMissingMessages(link, delivery, this.#floors)) {
      this.#receive(link, delivery);
      return { gone: false };
    }
    this.#drop(link);
    if (isNeeded) this.#receiver.lose(link.channel);
    return this.#gone(delivery.channel);
  }

  /** Ends a link whose messages are missing, for example because the root has forgotten them. */
  abandon(channel: string): void {
    if (!this.#link(channel)) return;
    this.leave(channel);
    this.#former.forgetPosition(channel);
    this.#receiver.lose(channel);
  }

  /** Whether this object is linked to a channel, but doesn't know its position there. */
  isUnlocated(channel: string): boolean {
    const link = this.#link(channel);
    return link?.linked === true && link.last === undefined;
  }

  /** The position of the newest received message of a channel, also if its link isn't confirmed. */
  arrived(channel: string): number | undefined {
    return this.#link(channel)?.last;
  }

  /** Resolves when a message has been passed on here, or never will be; undefined if that is so already. */
  reached(channel: string, position: number): Promise<void> | undefined {
    const link = this.#link(channel);
    if (!link?.linked || (link.last ?? -1) >= position) return undefined;
    this.#parts.schedule.stay();
    return this.#waiters.wait(channel, position);
  }

  /** Ends links whose messages are overdue; returns whether others are awaited. */
  loseOverdue(): boolean {
    if (!this.#waiters.hasAny) return false;
    for (const channel of this.#waiters.overdue) this.abandon(channel);
    return this.#waiters.hasAny;
  }

  #link(channel: string): UpstreamLink | undefined {
    const known = this.#links.get(channel);
    if (known || this.unlinks.has(channel)) return known;
    const row = rowOf(this.#parts.runtime.store.get(LINK + channel), isLinkRow);
    if (!row) return undefined;
    const last = this.#isOwn(channel) ? this.#log.position : undefined;
    const linked = { linked: true, hasRow: true };
    if (last === undefined || !this.#floors.isBelow(channel, last)) {
      return this.#add(channel, row, { ...linked, last, confirmed: this.#areRowsTrusted });
    }
    // Storage has refused this child's position: its parent knows it.
    this.#log.forgetPosition();
    return this.#add(channel, row, { ...linked, last: undefined, confirmed: false });
  }

  #isOwn(channel: string): boolean {
    return channel === channelOf(this.#parts.runtime.name);
  }

  #add(channel: string, { parent, epoch }: LinkRow, known: LinkState): UpstreamLink {
    this.#newestEpoch = Math.max(this.#newestEpoch, epoch);
    const asked = { channel, parent, epoch, vouched: undefined, newestDelivery: 0, doubted: false, asking: undefined };
    const link: UpstreamLink = { ...asked, ...known };
    this.#links.set(channel, link);
    return link;
  }

  /** Epochs are times, so they rise across crashes and after the storage was given back. */
  #nextEpoch(): number {
    this.#newestEpoch = Math.max(this.#newestEpoch + 1, this.#parts.runtime.now());
    return this.#newestEpoch;
  }

  #ask(channel: string): UpstreamLink {
    const parent =
      (this.#isOwn(channel) && parentOf(this.#parts.runtime.name)) || this.#former.takeParent(channel) || channel;
    const epoch = this.#nextEpoch();
    if (this.#isOwn(channel)) this.#log.forgetPosition();
    const known = { last: undefined, linked: false, hasRow: false, confirmed: false };
    return this.#add(channel, { parent, epoch }, known);
  }

  async #untilConfirmed(link: UpstreamLink): Promise<void> {
    const isOpen = () => !link.confirmed && this.#links.get(link.channel) === link;
    try {
      while (isOpen()) {
        this.#write(link);
        await retry(this.#parts.runtime, () => this.#request(link), isOpen);
        if (isOpen() && this.#isBehind(link)) {
          await this.reached(link.channel, this.#former.lastPosition(link.channel));
        }
      }
    } catch (cause) {
      // The link was dropped during the call; callers that still need it request it again.
      if (!isOpen()) return;
      if (!link.linked) this.#giveUp(link, cause);
      if (cause instanceof Unreachable) throw cause;
      throw new Unreachable("the channel's object doesn't answer", { cause });
    } finally {
      link.asking = undefined;
    }
  }

  /** Writes which link is requested: after a crash the object knows what to end. */
  #write(link: UpstreamLink): void {
    const { channel, parent, epoch } = link;
    const row: LinkRow = { parent, epoch };
    if (link.linked) return;
    if (!this.#parts.runtime.store.put(LINK + channel, row)) {
      throw new StorageFull("the server's storage takes no more rows");
    }
    link.hasRow = true;
    this.unlinks.replace(channel);
  }

  /** Gives a request up. If the parent didn't answer, it may have the link, so it has to be told. */
  #giveUp(link: UpstreamLink, cause: unknown): void {
    this.#remove(link);
    if (!(cause instanceof StorageFull)) this.unlinks.postpone({ ...link, asking: undefined });
    else if (link.hasRow) this.unlinks.finish(link);
  }

  /**
   * Requests a link once. The answer is the link, its loss, or another parent or epoch to try. The call has a budget of
   * its own, because the parent may have to request a link first, and objects that waited for each other would deadlock.
   */
  async #request(link: UpstreamLink): Promise<void> {
    const { channel, parent, epoch, linked, vouched } = link;
    const restarted = link.newestDelivery === 0 && !this.#parts.connections.hasSlept;
    const still = linked ? { last: link.last, restarted } : undefined;
    link.doubted = false;
    const request = { from: this.#parts.runtime.name, epoch, region: this.region, still, vouched };
    const answer = await this.#parts.runtime.call(parent, "link", request, true);
    if (this.#links.get(channel) !== link) return;
    if ("instead" in answer) {
      link.parent = answer.instead;
      link.vouched = answer.vouched;
    } else if ("after" in answer) {
      if (linked && this.#floors.isBelow(channel, answer.after)) this.abandon(channel);
      else this.#linked(link, answer.after);
    } else if (linked) {
      this.#drop(link);
      this.#receiver.lose(channel);
    } else {
      this.#newestEpoch = Math.max(this.#newestEpoch, answer.newer);
      link.epoch = this.#nextEpoch();
    }
  }

  #linked(link: UpstreamLink, after: number): void {
    if (this.#isOwn(link.channel) && this.#log.position === undefined) this.#log.begin(after);
    link.last ??= after;
    link.linked = true;
    link.confirmed = !link.doubted && !this.#isBehind(link);
    this.#waiters.reach(link.channel, link.last);
  }

  /** Whether this object had received more of a channel before it left that, by another parent. A root is never behind. */
  #isBehind({ channel, parent, linked, last = 0 }: UpstreamLink): boolean {
    return linked && parent !== channel && !this.#isOwn(channel) && last < this.#former.lastPosition(channel);
  }

  /** Answers a delivery by a link that this object doesn't have. */
  #gone(channel: string): DeliveryAnswer {
    this.#forgetPosition(channel);
    return { gone: true };
  }

  /** Forgets the position of this object's own channel if it isn't linked to it. */
  #forgetPosition(channel: string): void {
    if (this.#isOwn(channel) && !this.#links.has(channel)) this.#log.forgetPosition();
  }

  /** Ends a link whose parent knows, or will know by an answer, that it has ended. */
  #drop(link: UpstreamLink): void {
    this.#remove(link);
    this.unlinks.finish(link);
  }

  #remove(link: UpstreamLink): void {
    this.#links.delete(link.channel);
    this.#waiters.releaseAll(link.channel);
    this.#floors.forget(link.channel);
  }

  #receive(link: UpstreamLink, { channel, after, follows, count, lines }: Delivery): void {
    if (follows !== undefined && (link.last ?? follows) === follows) {
      this.#receiver.renumber(channel, after);
      this.#floors.raise(channel, after);
      link.last = after;
    }
    const known = link.last === undefined ? 0 : Math.min(link.last - after, count);
    if (known < count) {
      this.#receiver.receive(channel, dropLines(lines, known), count - known, after + known);
    }
    link.last = Math.max(link.last ?? 0, after + count);
    this.#waiters.reach(channel, link.last);
  }
}
