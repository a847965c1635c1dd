/** The delivering end of links: the objects that hear a channel through this one. */
import { assert } from "../assert.ts";
import { Link, nextDelivery, retell, retellAt, slowest } from "./delivery.ts";
import {
  firstPosition,
  isLinkRow,
  isOrderRow,
  isSame,
  LINK,
  type LinkRow,
  ORDER,
  type OrderRow,
  orderRow,
} from "./downstream-rows.ts";
import { History, type HistoryLimits } from "./history.ts";
import { Log } from "./log.ts";
import type {
  Delivery,
  DeliveryAnswer,
  Handover,
  Kept,
  LinkAnswer,
  LinkRequest,
  Missing,
  Still,
  UnlinkRequest,
} from "./messages.ts";
import { parentOf } from "./names.ts";
import { putOff, retry } from "./retry.ts";
import { rowOf } from "./rows.ts";
import { type Keeper, type World, wasNotMade } from "./world.ts";

/** What the owner of links is told. */
export interface DownstreamEvents {
  /** Something has to be delivered: the alarm has to be set, for another time than `rest`, before that is. */
  busy(): void;
  /** What is kept in storage is over at a time, in milliseconds since 1970. */
  keeps(until: number): void;
  /** There is more to send: a flush is due. */
  due(): void;
  /** A link is lost, and is to be told so again at `retellAt`, whether this object is in memory by then or not. */
  lost(): void;
  /** A link has ended under which this was counted, to be kept this once. */
  handover(handover: Handover): void;
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
  readonly #world: World;
  readonly #maxBuffered: number;
  readonly #events: DownstreamEvents;
  readonly #links = new Map<string, Link>();
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
    world: World,
    maxBuffered: number,
    history: HistoryLimits,
    events: DownstreamEvents,
    keeper: Keeper,
  ) {
    this.#world = world;
    this.#maxBuffered = maxBuffered;
    this.#events = events;
    this.log = new Log(undefined);
    if (parentOf(world.name) === undefined) this.history = new History(world, this.log, history, keeper);
    this.#row = rowOf(world.store.get(ORDER), isOrderRow);
    // Storage may have taken a link, and then no more.
    const isInDoubt = this.#takeUpOrder(this.#row) || !this.#row || this.log.position === undefined;
    for (const [key, value] of world.store.list(LINK)) {
      const row = rowOf(value, isLinkRow);
      if (!row) continue;
      const link = this.#add(key.slice(LINK.length), row);
      if (isInDoubt) this.#noteLoss(link);
      else if (this.#busy) link.doubt(this.log);
    }
  }

  /** Goes on where an earlier life was; says whether nobody can tell what has arrived by then. */
  #takeUpOrder(row: OrderRow | undefined): boolean {
    const stored = this.log.position;
    if (row?.kept && stored !== undefined && stored >= (row.position ?? 0)) {
      this.#busy = stored !== row.position;
      return false;
    }
    const alarm = this.#world.alarmTime();
    const wasBusy = row !== undefined && (row.busy || (alarm !== undefined && alarm !== row.alarm));
    const isInDoubt = wasBusy && !row.kept;
    const position = (isInDoubt ? undefined : (row?.position ?? stored)) ?? firstPosition(this.#world);
    if (position !== undefined && position !== stored) (this.history ?? this.log).begin(position);
    this.#busy = isInDoubt;
    return isInDoubt;
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

  /** Gives messages the next positions in the order, and says the last one's; `flush` sends them on. */
  append(lines: string, count: number, key?: string): number {
    if (this.#links.size === 0 && !this.keepsHistory) return this.log.skip(count);
    if (!this.#busy && this.#links.size > 0) this.#events.busy();
    this.#busy = this.#links.size > 0;
    this.#events.due();
    const last = this.log.append(lines, count);
    if (key !== undefined) this.history?.note(key);
    if (this.log.size > this.#maxBuffered) this.#shorten(last);
    return last;
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

  /** What is kept of what was missed. */
  recover({ since, last }: Missing): Kept {
    this.store(true);
    this.history?.forgetOld();
    this.log.trim(this.#slowest());
    const { position, start } = this.log;
    if (!this.keepsHistory || position === undefined || start === undefined) return { none: true };
    const after = Math.max(start, Math.min(since ?? position, position - last));
    return { after, ...this.log.since(after, Number.POSITIVE_INFINITY) };
  }

  /**
   * Stores what is to be kept and is not stored yet. The platform holds back what goes out until it is.
   * @param tellsPosition whether the position goes out, even if there is no message
   */
  store(tellsPosition = false): void {
    const until = this.history?.store(tellsPosition);
    if (until === undefined) return;
    this.log.trim(this.#slowest());
    this.#events.keeps(until);
  }

  /**
   * Drops what has been kept long enough.
   * @param hasSockets whether this object has connections, which may count on positions going on
   */
  expire(hasSockets: boolean): void {
    const until = this.history?.expire(hasSockets || this.#links.size > 0);
    this.log.trim(this.#slowest());
    if (until !== undefined) this.#events.keeps(until);
  }

  /** Nobody may hear this channel any more: who comes back in time is to find its position all the same. */
  release(hasSockets: boolean): void {
    const until = this.history?.release(hasSockets || this.#links.size > 0);
    if (until !== undefined) this.#events.keeps(until);
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
    const now = this.#world.now();
    for (const link of this.#links.values()) {
      if (link.owes(this.log) && link.maySend(now)) this.#world.keep(this.#send(link));
    }
  }

  /** When to call `retell`, in milliseconds since 1970; infinite if no link is lost. */
  get retellAt(): number {
    return retellAt(this.#links.values(), this.#world.now());
  }

  /** Tells links that they are lost, if it is time to: objects that could not be reached may be there again. */
  retell(): void {
    retell(this.#links.values(), this.#world.now());
    this.flush();
  }

  /**
   * Links `from`, or finds it linked already; deliveries go on after the position answered.
   * @throws Error if storage does not take it
   */
  link({ from, epoch, handover, still }: LinkRequest): LinkAnswer {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) return this.#answerAgain(known, still);
    if (still) return { newer: epoch };
    if (known) this.#end(known, handover);
    assert(this.log.position !== undefined, "who is linked to knows where in the order it is");
    const row: LinkRow = { epoch, lostAt: undefined };
    if (!this.#world.store.put(LINK + from, row)) throw new Error("storage takes no more links");
    this.#add(from, row);
    if (this.#row?.position === undefined) this.#writeOrder();
    else this.store();
    return { after: this.log.position };
  }

  /** Answers the object of a link that asks for it once more, or whether it still counts. */
  #answerAgain(link: Link, still: Still | undefined): LinkAnswer {
    // Neither side can know what of the failed call has arrived.
    if (still && still.last === undefined && link.unsure) this.#cutOff(link);
    else if (still?.last !== undefined && link.unknown) this.#found(link, still.last);
    if (!link.loss) return { after: link.acknowledged };
    // The answer may not arrive.
    this.#events.due();
    return { newer: link.epoch };
  }

  /** Ends the link of `from`, unless it was asked for later than `epoch`. */
  unlink({ from, epoch, handover }: UnlinkRequest): void {
    const known = this.#links.get(from);
    if (!known || known.epoch > epoch) return;
    this.#end(known, handover);
    this.#events.ended(from);
  }

  /**
   * Notes in storage that every link has everything, if that is so.
   * @returns whether it is, so that nothing would be lost if this object left memory
   */
  settle(): boolean {
    for (const link of this.#links.values()) {
      if (link.unwritten) this.#cutOff(link);
      if (link.sending || link.unwritten || (link.owes(this.log) && !link.loss)) return false;
    }
    this.#busy = false;
    this.#writeOrder();
    return true;
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
    const deliver = () => retry(this.#world, () => this.#deliver(link), isThere);
    const reached = await deliver().catch(() => {
      // One that has ended meanwhile has no row any more, and gets none.
      if (link.loss || !isThere()) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.sending = false;
    if (!reached && link.loss) putOff(link.loss, this.#world.now());
    if (reached && isThere() && link.owes(this.log)) this.#events.due();
  }

  async #deliver(link: Link): Promise<true> {
    // A repeated call takes along what has come meanwhile.
    this.store();
    if (link.lacksMoreThan(this.log)) this.#cutOff(link);
    this.#newest = Math.max(this.#newest + 1, this.#world.now());
    const delivery = nextDelivery(link, this.log, this.#world.name, this.#newest);
    try {
      this.#acknowledge(link, delivery, await this.#world.call(link.object, "deliver", delivery));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.unsure = true;
      throw error;
    }
  }

  #acknowledge(link: Link, delivery: Delivery, answer: DeliveryAnswer): void {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link, answer.handover);
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
    if (link.unknown) this.#found(link, last);
    else link.acknowledged = last;
    if (!link.owes(this.log)) this.log.trim(this.#slowest());
  }

  /** It has said how far it is: the log has what it misses, or it is lost. */
  #found(link: Link, last: number): void {
    link.unknown = false;
    link.acknowledged = last;
    const { start = 0, position = 0 } = this.log;
    if (link.acknowledged < start || link.acknowledged > position) this.#cutOff(link);
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
    const row = link.lose(this.#world.now());
    link.unwritten = !this.#world.store.put(LINK + link.object, row);
  }

  #end(link: Link, handover: Handover | undefined): void {
    this.#links.delete(link.object);
    this.#world.store.delete(LINK + link.object);
    if (handover?.period === link.epoch) this.#events.handover(handover);
    if (this.#links.size > 0) return;
    this.log.trim(this.log.position ?? 0);
    this.#busy = false;
    this.#row = undefined;
    this.#world.store.delete(ORDER);
  }

  /** Writes what is to be known of the order, unless storage has it. */
  #writeOrder(): void {
    if (this.#links.size === 0) return;
    // What this says is in storage has to be.
    this.store();
    const row = orderRow(this.log.position, this.#busy, this.keepsHistory, this.#world);
    if (!(this.#row && isSame(this.#row, row)) && this.#world.store.put(ORDER, row)) this.#row = row;
  }
}
