/** The delivering end of links: the objects that hear a channel through this one. */
import { assert } from "../assert.ts";
import { History, type HistoryEvents } from "../channel/history.ts";
import { Log, type Placed } from "../channel/log.ts";
import type { HistoryLimits } from "../channel/retained.ts";
import { Place } from "../channel/unstored-position.ts";
import type {
  CounterReport,
  Delivery,
  DeliveryAnswer,
  Kept,
  LinkAnswer,
  LinkRequest,
  Missing,
  Still,
  UnlinkRequest,
} from "../runtime/calls.ts";
import { parentOf } from "../runtime/object-names.ts";
import { rowOf } from "../runtime/rows.ts";
import { type Keeper, type Runtime, wasNotMade } from "../runtime/runtime.ts";
import { Link, nextDelivery, retell, retellAt, shareOf, slowest } from "./delivery.ts";
import {
  isLinkRow,
  isOrderRow,
  isSame,
  LINK,
  type LinkRow,
  ORDER,
  type OrderRow,
  orderRow,
  resumed,
} from "./link-rows.ts";
import { putOff, retry } from "./retry.ts";

/** What the owner of links is told. */
export interface DownstreamEvents extends HistoryEvents {
  /** Something has to be delivered: the alarm has to be set, for another time than `rest`, before that is. */
  busy(): void;
  /** There is more to send: a flush is due. */
  due(): void;
  /** A link is lost, and is to be told so again at `retellAt`, whether this object is in memory by then or not. */
  lost(): void;
  /** An object has unlinked, and reports its counters. */
  counted(counters: CounterReport): void;
  /** A link has ended. */
  ended(object: string): void;
}

/**
 * One channel's links. One call at a time is under way on each; what comes meanwhile goes out together
 * in the next one. All share one log, so a slow one costs memory once; past a limit it is cut off.
 */
export class Downstream {
  /** This object's own channel's; whoever knows better sets its position. */
  readonly log: Log;
  readonly #runtime: Runtime;
  readonly #maxBuffered: number;
  readonly #events: DownstreamEvents;
  readonly #links = new Map<string, Link>();
  readonly #place: Place;
  /** Undefined where this object is a child: a channel's root keeps its history. */
  readonly history: History | undefined;
  /** Of the newest delivery. These are times, so they rise across the lives of this object. */
  #newest = 0;
  #busy = false;
  /** What storage has under `order`. */
  #row: OrderRow | undefined;

  /**
   * Takes up from storage where an earlier life of this object ended. If that life ended in the
   * middle of deliveries, nobody knows what arrived: every link of it is lost.
   * @param maxBuffered characters that are kept for links which are behind
   * @param keeper keeps what storage would not take while this object sleeps
   */
  constructor(
    runtime: Runtime,
    maxBuffered: number,
    history: HistoryLimits,
    events: DownstreamEvents,
    keeper: Keeper,
  ) {
    this.#runtime = runtime;
    this.#maxBuffered = maxBuffered;
    this.#events = events;
    this.log = new Log(undefined);
    this.#place = new Place(keeper);
    if (this.#isRoot) this.history = new History(runtime, this.log, history, keeper.hasSlept, events);
    this.#row = rowOf(runtime.store.get(ORDER), isOrderRow);
    const { position, isBehind, isInDoubt } = resumed(this.#row, this.log.position, this.#place, runtime);
    this.#begin(position);
    this.#busy = isBehind || isInDoubt;
    // Storage may have taken a link, and then no more.
    const isUnknown = position === undefined || !(this.#row || this.#place.position !== undefined);
    for (const [key, value] of runtime.store.list(LINK)) {
      const row = rowOf(value, isLinkRow);
      if (!row) continue;
      const link = this.#add(key.slice(LINK.length), row);
      if (isInDoubt || isUnknown) this.#noteLoss(link);
      else if (this.#busy) link.doubt(this.log);
    }
  }

  get #isRoot(): boolean {
    return parentOf(this.#runtime.name) === undefined;
  }

  #begin(position: number | undefined): void {
    if (position === undefined || position === this.log.position) return;
    if (this.history) this.history.begin(position, position === this.#place.position);
    else this.log.begin(position);
  }

  /** Whether a crash now would leave links in doubt. */
  get isBusy(): boolean {
    return this.#busy;
  }

  /** For when an alarm says nothing: as it was set when every link had everything. */
  get rest(): number | undefined {
    return this.#row?.alarm;
  }

  /** The objects linked to this one. */
  get objects(): Iterable<string> {
    return this.#links.keys();
  }

  /** How many objects are linked to this one. */
  get size(): number {
    return this.#links.size;
  }

  /** The epoch of the link to `object`; undefined if there is none. */
  epochOf(object: string): number | undefined {
    return this.#links.get(object)?.epoch;
  }

  /** The same of a link that `object` may count on. */
  vouchFor(object: string): number | undefined {
    const link = this.#links.get(object);
    return link?.loss || link?.unknown ? undefined : link?.epoch;
  }

  /** The position up to which `object` is known to have everything; undefined if it is not linked. */
  acknowledgedBy(object: string): number | undefined {
    return this.#links.get(object)?.acknowledged;
  }

  /** Gives messages the next positions in the order; `flush` sends them on. */
  append(lines: string, count: number, key?: string): Placed {
    if (this.#links.size === 0 && !this.keepsHistory) return this.log.skip(lines, count);
    this.owe();
    const placed = this.log.append(lines, count, key);
    this.history?.note(placed);
    if (this.log.size > this.#maxBuffered) this.#shorten(placed.last);
    return placed;
  }

  /** Links are to be told something. */
  owe(): void {
    if (!this.#busy && this.#links.size > 0) this.#events.busy();
    this.#busy = this.#links.size > 0;
    this.#events.due();
  }

  /** Goes on under the numbers that a parent has given, where its own root did. */
  renumber(position: number): void {
    if (this.log.position === undefined) this.log.begin(position);
    else this.log.renumber(this.log.position, position);
    this.owe();
  }

  /** Whether this object keeps what is announced for a while. */
  get keepsHistory(): boolean {
    return this.history?.isOn === true;
  }

  /** The position of the newest message, to be told to who counts on from there. */
  locate(): number | undefined {
    this.store(true);
    return this.log.position;
  }

  /** Returns the retained messages after a position, or the newest of them. */
  recover(missing: Missing): Kept {
    this.store(true);
    return this.history?.recover(missing) ?? { none: true };
  }

  /**
   * Stores what is to be retained and isn't stored yet. The platform holds back output until it is.
   * @param tellsPosition whether the newest position is told, even if there is no message
   */
  store(tellsPosition = false): void {
    if (this.history?.store(tellsPosition)) this.log.trim(this.#slowest());
  }

  /**
   * Drops what has been retained for long enough.
   * @param isCounted whether clients count on from the newest position
   */
  expire(isCounted: boolean): void {
    this.history?.expire(isCounted);
    this.log.trim(this.#slowest());
  }

  /** Takes over messages that a parent has sent, with the positions that they have. */
  relay(lines: string, count: number, after: number): void {
    if (this.log.position === undefined) this.log.begin(after);
    assert(this.log.position === after, "what a parent sends goes on where this object is");
    this.append(lines, count);
  }

  /** Messages are missing from here on, for every link there is. */
  loseAll(): void {
    for (const link of this.#links.values()) if (!link.loss) this.#cutOff(link);
    this.log.lose();
    this.#writeOrder();
    this.flush();
  }

  /** Starts to send what each link is behind by. Returns at once. */
  flush(): void {
    this.store();
    const now = this.#runtime.now();
    for (const link of this.#links.values()) {
      if (link.owes(this.log) && link.maySend(now)) this.#runtime.keep(this.#send(link));
    }
  }

  /** When to call `retell`, in milliseconds since 1970; infinite if no link is lost. */
  get retellAt(): number {
    return retellAt(this.#links.values(), this.#runtime.now());
  }

  /** Tells links that they are lost, if it is time to: objects that could not be reached may be there again. */
  retell(): void {
    retell(this.#links.values(), this.#runtime.now());
    this.flush();
  }

  /**
   * Links `from`, or finds it linked already; deliveries go on after the position answered.
   * @throws Error if storage does not take it
   */
  link({ from, epoch, still }: LinkRequest): LinkAnswer {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) return this.#answerAgain(known, still);
    if (still) return { newer: epoch };
    if (known) this.#end(known);
    this.store();
    assert(this.log.position !== undefined, "who is linked to knows where in the order it is");
    const row: LinkRow = { epoch, lostAt: undefined };
    if (!this.#runtime.store.put(LINK + from, row)) throw new Error("storage takes no more links");
    this.#add(from, row);
    if (this.#row?.position === undefined) this.#writeOrder();
    return { after: this.log.position };
  }

  /** Answers the object of a link that asks for it once more, or whether it still counts. */
  #answerAgain(link: Link, still: Still | undefined): LinkAnswer {
    if (still) this.#compare(link, still);
    if (!link.loss) return { after: link.acknowledged };
    // The answer may not arrive.
    this.#events.due();
    return { newer: link.epoch };
  }

  /** The far end of a link says what it knows of it, and wants to be sure of it. */
  #compare(link: Link, { last }: Still): void {
    if (link.loss) return;
    // Neither side can know what of the failed call has arrived.
    if (last === undefined && link.unsure) this.#cutOff(link);
    if (last === undefined) return;
    if (link.unknown ? !link.found(last, this.log) : last > (this.log.position ?? 0)) this.#cutOff(link);
  }

  /** Ends the link of `from`, unless it was asked for later than `epoch`. */
  unlink({ from, epoch, counters }: UnlinkRequest): void {
    const known = this.#links.get(from);
    const isOver = known !== undefined && known.epoch <= epoch;
    if (isOver) this.#end(known);
    if (counters) this.#events.counted(counters);
    if (isOver) this.#events.ended(from);
  }

  /**
   * Notes in storage that every link has everything, if that is so.
   * @param isCounted whether clients count on from the newest position
   * @returns whether it is, so that nothing would be lost if this object left memory
   */
  settle(isCounted: boolean): boolean {
    for (const link of this.#links.values()) {
      if (link.unwritten) this.#cutOff(link);
      if (link.sending || link.unwritten || (link.owes(this.log) && !link.loss)) return false;
    }
    this.#busy = false;
    this.history?.settle(isCounted);
    this.#writeOrder();
    const { position } = this.log;
    const isInOrder = this.#links.size === 0 || this.#row?.position === position;
    const isStored = isInOrder && this.history?.isStored !== false;
    // A child that went on from an old row would deliver messages again.
    return this.#place.keep(isStored ? undefined : position) || this.#isRoot;
  }

  #add(object: string, row: LinkRow): Link {
    const link = new Link(object, row, this.log.position ?? 0);
    this.#links.set(object, link);
    return link;
  }

  /** Sends once, however often that has to be tried; what has come meanwhile goes with the next flush. */
  async #send(link: Link): Promise<void> {
    link.sending = true;
    const isThere = () => this.#links.get(link.object) === link;
    const deliver = () => retry(this.#runtime, () => this.#deliver(link), isThere);
    const reached = await deliver().catch(() => {
      // One that has ended meanwhile has no row any more, and gets none.
      if (link.loss || !isThere()) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.sending = false;
    if (!reached && link.loss) putOff(link.loss, this.#runtime.now());
    if (reached && isThere() && link.owes(this.log)) this.#events.due();
  }

  async #deliver(link: Link): Promise<true> {
    // A repeated call takes along what has come meanwhile.
    this.store();
    if (link.lacksMoreThan(this.log)) this.#cutOff(link);
    this.#newest = Math.max(this.#newest + 1, this.#runtime.now());
    const delivery = nextDelivery(
      link,
      this.log,
      this.#runtime.name,
      this.#newest,
      shareOf(this.#links.size),
    );
    try {
      this.#acknowledge(link, delivery, await this.#runtime.call(link.object, "deliver", delivery));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.unsure = true;
      throw error;
    }
  }

  #acknowledge(link: Link, delivery: Delivery, answer: DeliveryAnswer): void {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link);
      this.#events.ended(link.object);
      return;
    }
    if ("newer" in answer) {
      this.#newest = Math.max(this.#newest, answer.newer);
      return;
    }
    // A link that was cut off while this call was under way has been promised more than it got.
    if (link.loss) return;
    link.unsure = false;
    const last = answer.last ?? delivery.after + delivery.count;
    if (!link.unknown) link.acknowledged = last;
    else if (!link.found(last, this.log)) this.#cutOff(link);
    if (!link.owes(this.log)) this.log.trim(this.#slowest());
  }

  #slowest(): number {
    return slowest(this.#links.values(), this.log);
  }

  /** Drops what every link has; if that is not enough, cuts off the links that are furthest behind. */
  #shorten(last: number): void {
    this.log.trim(this.#slowest());
    if (this.log.size <= this.#maxBuffered) return;
    const kept = this.log.trimTo(this.#maxBuffered / 2) ?? last;
    for (const link of this.#links.values()) {
      if (!link.loss && link.acknowledged < kept) this.#cutOff(link);
    }
  }

  #cutOff(link: Link): void {
    this.#noteLoss(link);
    this.#events.lost();
  }

  #noteLoss(link: Link): void {
    const row = link.lose(this.#runtime.now());
    link.unwritten = !this.#runtime.store.put(LINK + link.object, row);
  }

  #end(link: Link): void {
    this.#links.delete(link.object);
    this.#runtime.store.delete(LINK + link.object);
    if (this.#links.size > 0) return;
    this.log.trim(this.log.position ?? 0);
    this.#busy = false;
    this.#row = undefined;
    this.#runtime.store.delete(ORDER);
  }

  /** Writes what is to be known of the order, unless storage has it. */
  #writeOrder(): void {
    if (this.#links.size === 0) return;
    // What this says is in storage has to be.
    this.store();
    const row = orderRow(this.log.position, this.#busy, this.keepsHistory, this.#runtime);
    if (!(this.#row && isSame(this.#row, row)) && this.#runtime.store.put(ORDER, row)) this.#row = row;
  }
}
