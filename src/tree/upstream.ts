/** The receiving end of links: the channels that this object hears on behalf of its own listeners. */

import type { Log } from "../channel/log.ts";
import { dropLines } from "../protocol/frames.ts";
import type { CounterReport, Delivery, DeliveryAnswer } from "../runtime/calls.ts";
import { channelOf, parentOf } from "../runtime/object-names.ts";
import { rowOf } from "../runtime/rows.ts";
import type { Keeper, Runtime } from "../runtime/runtime.ts";
import { Arrivals } from "./arrivals.ts";
import { Floors } from "./epoch-floors.ts";
import { Former } from "./former-links.ts";
import { retry } from "./retry.ts";
import { areRowsDoubtful, type Ending, Endings, isLinkRow, LINK, type LinkRow } from "./unlinks.ts";
import { isMissingSome, type Known, type Link, linkOf } from "./upstream-link.ts";

/** Whom links are for. */
export interface Listeners {
  /** Whether anyone here wants to hear `channel`. */
  listens(channel: string): boolean;
  /** Hands messages of `channel`, as lines, to those who listen; they come `after` a position. */
  hear(channel: string, lines: string, count: number, after: number): void;
  /** The next message of `channel` is the one after `position`: its root has given new numbers. */
  renumber(channel: string, position: number): void;
  /** Messages of `channel` are missing: nobody who listens to it may go on as if they were not. */
  lose(channel: string): void;
  /** Someone waits for a message to arrive: `loseLate` is to be called now and then. */
  awaited(): void;
  /** A link has ended, or its parent could not be told so: then `retry` is to be called at `dueAt`. */
  ended(): void;
  /** Returns the counters to report when the link to `channel` ends, and resets them; undefined if there are none. */
  takeCounters(channel: string): CounterReport | undefined;
}

/** A link that could not be had; the message says why. */
export class Unreachable extends Error {}

/** What goes to storage is not taken there: the platform takes only so many rows a day. */
class StorageFull extends Unreachable {}

export class Upstream {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #listeners: Listeners;
  readonly #hasSlept: boolean;
  readonly #floors: Floors;
  readonly #links = new Map<string, Link>();
  readonly #endings: Endings;
  readonly #arrivals: Arrivals;
  readonly #former: Former;
  #newestEpoch = 0;
  /** Where the connections of this object come from; a child tells its parent. */
  region = "";

  /**
   * @param log of this object's own channel; a child learns its position with its link
   * @param keeper keeps, while this object sleeps, what storage can't tell
   */
  constructor(runtime: Runtime, log: Log, listeners: Listeners, keeper: Keeper) {
    this.#runtime = runtime;
    this.#log = log;
    this.#listeners = listeners;
    this.#hasSlept = keeper.hasSlept && !areRowsDoubtful(keeper);
    this.#arrivals = new Arrivals(runtime);
    this.#former = new Former(runtime);
    this.#floors = new Floors(keeper);
    const tell = (ending: Ending) => this.#unlink(ending);
    const isWanted = (channel: string) => listeners.listens(channel);
    this.#endings = new Endings(runtime, keeper, tell, isWanted, () => listeners.ended());
  }

  /** Whether this object has asked for a link to `channel`, and has not ended it. */
  has(channel: string): boolean {
    return this.#link(channel) !== undefined;
  }

  /** Whether messages of `channel` arrive here, and others may rely on that. */
  isLinked(channel: string): boolean {
    return this.#link(channel)?.sure ?? false;
  }

  /**
   * Links this object to `channel`, or makes sure that it still is. When it resolves, and `isLinked` still
   * says so, messages that get their position from then on will arrive.
   * @throws Unreachable if the channel's object does not answer
   */
  async join(channel: string): Promise<void> {
    const link = this.#link(channel) ?? this.#ask(channel);
    if (!link.sure) link.asking ??= this.#untilSure(link);
    await link.asking;
  }

  /**
   * Whether the link to `channel` is the one whose epoch its parent has vouched for, to somebody who is about
   * to rely on it; for nobody else, as that word may be old. A child has to know its position besides.
   */
  isVouchedFor(channel: string, epoch: number | undefined): boolean {
    const link = this.#link(channel);
    return link?.linked === true && link.epoch === epoch && this.#log.position !== undefined;
  }

  /** The position of the newest message of `channel` that has arrived; undefined if that is not known now. */
  positionOf(channel: string): number | undefined {
    const link = this.#link(channel);
    return link?.sure ? link.last : undefined;
  }

  /** Has this object make sure of its link to `channel` before others rely on it. */
  doubt(channel: string): void {
    const link = this.#link(channel);
    if (!link) return;
    link.doubted = true;
    link.sure = false;
  }

  /** Ends the link to `channel`; to be called when nobody here listens to it any more. */
  leave(channel: string): void {
    const link = this.#link(channel);
    if (!link) return;
    this.#remove(link);
    this.#former.note(link);
    this.#endings.begin({ ...link, counters: this.#listeners.takeCounters(channel) });
  }

  /**
   * Leaves every channel that has no listeners here: links that a crash left behind, or whose parent was not told.
   * @returns whether there was any of the first
   */
  leaveUnheard(): boolean {
    let hasLeft = false;
    for (const [key, value] of [...this.#runtime.store.list(LINK)]) {
      const channel = key.slice(LINK.length);
      const row = rowOf(value, isLinkRow);
      if (!row || (row.left === undefined && this.#listeners.listens(channel))) continue;
      this.#newestEpoch = Math.max(this.#newestEpoch, row.epoch);
      this.#former.note({ channel, ...row, last: undefined });
      this.#endings.begin({ channel, ...row, asking: undefined }, true, row.left);
      hasLeft ||= row.left === undefined;
    }
    return hasLeft;
  }

  /** Tells parents again that links have ended which could not be told. */
  retry(): void {
    this.#endings.retry();
  }

  /** When to call `retry`, in milliseconds since 1970; infinite if there is no need. */
  get dueAt(): number {
    return this.#endings.dueAt;
  }

  /** Has what storage could not be told outlive sleep. */
  settle(): void {
    this.#endings.settle([...this.#links.values()].some(({ hasRow, sure }) => hasRow && !sure));
  }

  /** Takes a delivery: hands on what is new in it, exactly once and in order, or ends the link. */
  deliver(delivery: Delivery): DeliveryAnswer {
    const link = this.#link(delivery.channel);
    if (link?.epoch !== delivery.epoch || link.parent !== delivery.from) return this.#gone(delivery.channel);
    // One that its sender, or an earlier life of that, has given up: what it knew then says nothing any more.
    if (delivery.number <= link.newest) return { gone: false, newer: link.newest };
    link.newest = delivery.number;
    if (delivery.where && link.last !== undefined) return { gone: false, last: link.last };
    const heard = link.asking !== undefined || this.#listeners.listens(link.channel);
    if (heard && !isMissingSome(link, delivery, this.#floors)) {
      this.#take(link, delivery);
      return { gone: false };
    }
    this.#drop(link);
    if (heard) this.#listeners.lose(link.channel);
    return this.#gone(delivery.channel);
  }

  /** The root of a channel has forgotten positions that messages here have: some may be missing. */
  regressed(channel: string): void {
    if (this.#link(channel)) this.#abandon(channel);
  }

  /** Whether this object is linked to `channel`, but has yet to be told where it is there. */
  isUnlocated(channel: string): boolean {
    const link = this.#link(channel);
    return link?.linked === true && link.last === undefined;
  }

  /** The position of the newest message that has arrived, whether or not the link is still there. */
  arrived(channel: string): number | undefined {
    return this.#link(channel)?.last;
  }

  /** Resolves when a message has been handed on here, or never will be; undefined if that is so already. */
  reached(channel: string, position: number): Promise<void> | undefined {
    const link = this.#link(channel);
    if (!link?.linked || (link.last ?? -1) >= position) return undefined;
    this.#listeners.awaited();
    return this.#arrivals.wait(channel, position);
  }

  /** Ends links by which a message is too late: messages are missing. Says whether others are waited for. */
  loseLate(): boolean {
    if (!this.#arrivals.areAwaited) return false;
    for (const channel of this.#arrivals.late) this.#abandon(channel);
    return this.#arrivals.areAwaited;
  }

  /** Ends a link by which messages will not arrive that have their positions. */
  #abandon(channel: string): void {
    this.leave(channel);
    this.#former.forgetPosition(channel);
    this.#listeners.lose(channel);
  }

  #link(channel: string): Link | undefined {
    const known = this.#links.get(channel);
    if (known || this.#endings.has(channel)) return known;
    const row = rowOf(this.#runtime.store.get(LINK + channel), isLinkRow);
    if (!row) return undefined;
    const last = this.#isOwn(channel) ? this.#log.position : undefined;
    const linked = { linked: true, hasRow: true };
    if (last === undefined || !this.#floors.isBeyond(channel, last)) {
      return this.#add(channel, row, { ...linked, last, sure: this.#hasSlept });
    }
    // Storage has refused the position of this child: its parent is to tell it.
    this.#log.lose();
    return this.#add(channel, row, { ...linked, last: undefined, sure: false });
  }

  #isOwn(channel: string): boolean {
    return channel === channelOf(this.#runtime.name);
  }

  #add(channel: string, row: LinkRow, known: Known): Link {
    this.#newestEpoch = Math.max(this.#newestEpoch, row.epoch);
    const link = linkOf(channel, row, known);
    this.#links.set(channel, link);
    return link;
  }

  /** Epochs are times, so they rise across crashes and when storage has been emptied. */
  #nextEpoch(): number {
    this.#newestEpoch = Math.max(this.#newestEpoch + 1, this.#runtime.now());
    return this.#newestEpoch;
  }

  #ask(channel: string): Link {
    const parent =
      (this.#isOwn(channel) && parentOf(this.#runtime.name)) || this.#former.takeParent(channel) || channel;
    const epoch = this.#nextEpoch();
    if (this.#isOwn(channel)) this.#log.lose();
    const known = { last: undefined, linked: false, hasRow: false, sure: false };
    return this.#add(channel, { parent, epoch }, known);
  }

  async #untilSure(link: Link): Promise<void> {
    const isOpen = () => !link.sure && this.#links.get(link.channel) === link;
    try {
      while (isOpen()) {
        this.#write(link);
        await retry(this.#runtime, () => this.#request(link), isOpen);
        if (isOpen() && this.#isBehind(link))
          await this.reached(link.channel, this.#former.positionIn(link.channel));
      }
    } catch (cause) {
      // Dropped meanwhile: whoever still waits asks anew.
      if (!isOpen()) return;
      if (!link.linked) this.#giveUp(link, cause);
      if (cause instanceof Unreachable) throw cause;
      throw new Unreachable("the channel's object doesn't answer", { cause });
    } finally {
      link.asking = undefined;
    }
  }

  /** Notes which link is asked for, so that after a crash it is known what to end. */
  #write(link: Link): void {
    const { channel, parent, epoch } = link;
    const row: LinkRow = { parent, epoch };
    if (link.linked) return;
    if (!this.#runtime.store.put(LINK + channel, row)) {
      throw new StorageFull("the server's storage takes no more rows");
    }
    link.hasRow = true;
    this.#endings.replace(channel);
  }

  /** A link could not be had. If its parent did not answer, it may have it: that is to be told. */
  #giveUp(link: Link, cause: unknown): void {
    this.#remove(link);
    if (!(cause instanceof StorageFull)) this.#endings.postpone({ ...link, asking: undefined });
    else if (link.hasRow) this.#endings.finish(link);
  }

  /** Asks once. The link is there then, or is lost, or will be asked for otherwise. */
  async #request(link: Link): Promise<void> {
    const { channel, parent, epoch, linked, vouched } = link;
    const still = linked ? { last: link.last } : undefined;
    link.doubted = false;
    const request = { from: this.#runtime.name, epoch, region: this.region, still, vouched };
    const answer = await this.#runtime.call(parent, "link", request);
    if (this.#links.get(channel) !== link) return;
    if ("instead" in answer) {
      link.parent = answer.instead;
      link.vouched = answer.vouched;
    } else if ("after" in answer) {
      if (linked && this.#floors.isBeyond(channel, answer.after)) this.regressed(channel);
      else this.#linked(link, answer.after);
    } else if (linked) {
      this.#lose(link);
    } else {
      this.#newestEpoch = Math.max(this.#newestEpoch, answer.newer);
      link.epoch = this.#nextEpoch();
    }
  }

  #linked(link: Link, after: number): void {
    if (this.#isOwn(link.channel) && this.#log.position === undefined) this.#log.begin(after);
    link.last ??= after;
    link.linked = true;
    link.sure = !link.doubted && !this.#isBehind(link);
    this.#arrivals.reach(link.channel, link.last);
  }

  /** Whether this object was further in a channel before it left that, by another parent. A root is never behind. */
  #isBehind({ channel, parent, linked, last = 0 }: Link): boolean {
    return linked && parent !== channel && !this.#isOwn(channel) && last < this.#former.positionIn(channel);
  }

  /** Counters go with the first attempt only: if that fails, the parent may have added them. */
  async #unlink(ending: Ending): Promise<void> {
    const { channel, parent, epoch, counters } = ending;
    this.#forgetPosition(channel);
    ending.counters = undefined;
    await this.#runtime.call(parent, "unlink", { from: this.#runtime.name, epoch, counters });
  }

  /** Answers a delivery by a link that this object doesn't have. */
  #gone(channel: string): DeliveryAnswer {
    this.#forgetPosition(channel);
    return { gone: true };
  }

  /** Forgets the position of this object's own channel if it isn't linked to it. */
  #forgetPosition(channel: string): void {
    if (this.#isOwn(channel) && !this.#links.has(channel)) this.#log.lose();
  }

  #lose(link: Link): void {
    this.#drop(link);
    this.#listeners.lose(link.channel);
  }

  /** Ends a link of which the parent knows, or will know by an answer, that it has ended. */
  #drop(link: Link): void {
    this.#remove(link);
    this.#endings.finish(link);
  }

  #remove(link: Link): void {
    this.#links.delete(link.channel);
    this.#arrivals.giveUp(link.channel);
    this.#floors.forget(link.channel);
  }

  #take(link: Link, { channel, after, follows, count, lines }: Delivery): void {
    if (follows !== undefined && (link.last ?? follows) === follows) {
      this.#listeners.renumber(channel, after);
      this.#floors.raise(channel, after);
      link.last = after;
    }
    const known = link.last === undefined ? 0 : Math.min(link.last - after, count);
    if (known < count) {
      this.#listeners.hear(channel, dropLines(lines, known), count - known, after + known);
    }
    link.last = Math.max(link.last ?? 0, after + count);
    this.#arrivals.reach(channel, link.last);
  }
}
