/** The delivering end of links: the objects that hear a channel through this one. */
import { assert } from "../assert.ts";
import { Log } from "./log.ts";
import type {
  Delivery,
  DeliveryAnswer,
  Handover,
  LinkAnswer,
  LinkRequest,
  UnlinkRequest,
} from "./messages.ts";
import { channelOf, parentOf } from "./names.ts";
import { retry } from "./retry.ts";
import { isNumber, isRecord, rowOf } from "./rows.ts";
import { type World, wasNotMade } from "./world.ts";

/** Most characters in one delivery; the runtime's own limit for a call is 32 MiB. */
const MAX_DELIVERY = 1_000_000;

interface Link {
  readonly object: string;
  readonly epoch: number;
  /** Everything up to this position has arrived. */
  acknowledged: number;
  /** A call failed since then, so some of what follows may have arrived too. */
  unsure: boolean;
  /** Messages were dropped; all that is left to send is this fact. */
  lost: boolean;
  /** Storage would not take that; until it is told, this object must not leave memory. */
  unwritten: boolean;
  sending: boolean;
}

/** What storage remembers of a link, under `downstream:<object>`. */
interface LinkRow {
  epoch: number;
  lost: boolean;
}

/** What storage remembers of the order, under `order`, while there are links. */
interface OrderRow {
  /** Undefined while a child has to learn it from its parent. */
  position: number | undefined;
  /** Whether some link may not have everything. */
  busy: boolean;
  /**
   * When the alarm was to go off, in milliseconds since 1970, when this was written. If it is set for another
   * time, some link may not have everything: setting it is what says so, before the first message after a
   * quiet time. An alarm that has gone off says nothing.
   */
  alarm: number | undefined;
}

function isLinkRow(row: unknown): row is LinkRow {
  return isRecord(row) && isNumber(row.epoch) && typeof row.lost === "boolean";
}

function isOrderRow(row: unknown): row is OrderRow {
  if (!isRecord(row) || typeof row.busy !== "boolean") return false;
  const { position, alarm } = row;
  return (position === undefined || isNumber(position)) && (alarm === undefined || isNumber(alarm));
}

/** What the owner of links is told. */
export interface DownstreamEvents {
  /** Something has to be delivered: the alarm has to be set, for another time than `rest`, before that is. */
  busy(): void;
  /** There is more to send: a flush is due. */
  due(): void;
  /** A link has ended under which this was counted, to be kept this once. */
  handover(handover: Handover): void;
  /** A link has ended. */
  ended(object: string): void;
}

const LINK = "downstream:";
const ORDER = "order";

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
  #busy: boolean;
  /** What storage has under `order`. */
  #row: OrderRow | undefined;

  /**
   * Takes up from storage where an earlier life of this object ended. If that life ended in the
   * middle of deliveries, nobody knows what arrived: every link of it is lost.
   * @param maxBuffered characters that are kept for links which are behind
   */
  constructor(world: World, maxBuffered: number, events: DownstreamEvents) {
    this.#world = world;
    this.#maxBuffered = maxBuffered;
    this.#events = events;
    const row = rowOf(world.store.get(ORDER), isOrderRow);
    this.#row = row;
    const alarm = world.alarmTime();
    this.#busy = row !== undefined && (row.busy || (alarm !== undefined && alarm !== row.alarm));
    this.log = new Log((this.#busy ? undefined : row?.position) ?? firstPosition(world));
    for (const [key, value] of world.store.list(LINK)) {
      const row = rowOf(value, isLinkRow);
      if (!row) continue;
      const link = this.#add(key.slice(LINK.length), row.epoch, row.lost);
      if (this.#busy) this.#cutOff(link);
    }
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
    return link?.lost ? undefined : link?.epoch;
  }

  /** Gives messages the next positions in the order, and says the last one's; `flush` sends them on. */
  append(lines: string, count: number): number {
    if (this.#links.size === 0) return this.log.skip(count);
    if (!this.#busy) {
      this.#busy = true;
      this.#events.busy();
    }
    this.#events.due();
    const last = this.log.append(lines, count);
    if (this.log.size > this.#maxBuffered) this.#shorten(last);
    return last;
  }

  /** Takes over messages that a parent has sent, with the positions that they have. */
  relay(lines: string, count: number, after: number): void {
    if (this.log.position === undefined) this.log.begin(after);
    assert(this.log.position === after, "what a parent sends goes on where this object is");
    this.append(lines, count);
  }

  /** Messages are missing from here on, for every link there is. */
  loseAll(): void {
    for (const link of this.#links.values()) if (!link.lost) this.#cutOff(link);
    this.log.lose();
    this.#writeOrder();
    this.flush();
  }

  /** Starts to send what each link is behind by. Returns at once. */
  flush(): void {
    for (const link of this.#links.values()) {
      if (!link.sending && this.#owes(link)) this.#world.keep(this.#send(link));
    }
  }

  /**
   * Links `from`, or finds it linked already; deliveries go on after the position answered.
   * @throws Error if storage does not take it
   */
  link({ from, epoch, handover, still }: LinkRequest): LinkAnswer {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) {
      // Neither side can know what of the failed call has arrived.
      if (still && still.last === undefined && known.unsure) this.#cutOff(known);
      return known.lost ? { newer: epoch } : { after: known.acknowledged };
    }
    if (still) return { newer: epoch };
    if (known) this.#end(known, handover);
    assert(this.log.position !== undefined, "who is linked to knows where in the order it is");
    if (!this.#writeLink(from, { epoch, lost: false })) throw new Error("storage takes no more links");
    this.#add(from, epoch, false);
    if (!this.#row) this.#writeOrder();
    return { after: this.log.position };
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
      if (link.sending || link.unwritten || (this.#owes(link) && !link.lost)) return false;
    }
    this.#busy = false;
    this.#writeOrder();
    return true;
  }

  #add(object: string, epoch: number, lost: boolean): Link {
    const acknowledged = this.log.position ?? 0;
    const link = { object, epoch, acknowledged, unsure: false, lost, unwritten: false, sending: false };
    this.#links.set(object, link);
    return link;
  }

  #owes(link: Link): boolean {
    return link.lost || link.acknowledged < (this.log.position ?? 0);
  }

  /** Sends once, however often that has to be tried; what has come meanwhile goes with the next flush. */
  async #send(link: Link): Promise<void> {
    link.sending = true;
    const isThere = () => this.#links.get(link.object) === link;
    const deliver = () => retry(this.#world, () => this.#deliver(link), isThere);
    const reached = await deliver().catch(() => {
      if (link.lost) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.sending = false;
    if (reached && isThere() && this.#owes(link)) this.#events.due();
  }

  async #deliver(link: Link): Promise<true> {
    const delivery = this.#nextDelivery(link);
    try {
      this.#acknowledge(link, delivery, await this.#world.call(link.object, "deliver", delivery));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.unsure = true;
      throw error;
    }
  }

  #nextDelivery({ epoch, acknowledged: after, unsure: again, lost }: Link): Delivery {
    const { name: from } = this.#world;
    const messages = lost ? { lines: "", count: 0 } : this.log.since(after, MAX_DELIVERY);
    return { channel: channelOf(from), from, epoch, after, ...messages, again, lost };
  }

  #acknowledge(link: Link, delivery: Delivery, answer: DeliveryAnswer): void {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link, answer.handover);
      this.#events.ended(link.object);
      return;
    }
    // A link that was cut off while this call was under way has been promised more than it got.
    if (link.lost) return;
    link.unsure = false;
    link.acknowledged = delivery.after + delivery.count;
    if (!this.#owes(link) && this.#slowest() === link.acknowledged) this.log.clear();
  }

  /** What every link has, but for those that are lost. */
  #slowest(): number {
    let slowest = this.log.position ?? 0;
    for (const { lost, acknowledged } of this.#links.values()) {
      if (!lost) slowest = Math.min(slowest, acknowledged);
    }
    return slowest;
  }

  /** Drops what every link has; if that is not enough, cuts off the links that are furthest behind. */
  #shorten(last: number): void {
    this.log.trim(this.#slowest());
    if (this.log.size <= this.#maxBuffered) return;
    const kept = this.log.trimTo(this.#maxBuffered / 2) ?? last;
    for (const link of this.#links.values()) {
      if (!link.lost && link.acknowledged < kept) this.#cutOff(link);
    }
  }

  #cutOff(link: Link): void {
    link.lost = true;
    link.unwritten = !this.#writeLink(link.object, { epoch: link.epoch, lost: true });
  }

  #end(link: Link, handover: Handover | undefined): void {
    this.#links.delete(link.object);
    this.#world.store.delete(LINK + link.object);
    if (handover?.period === link.epoch) this.#events.handover(handover);
    if (this.#links.size > 0) return;
    this.log.clear();
    this.#busy = false;
    this.#row = undefined;
    this.#world.store.delete(ORDER);
  }

  #writeLink(object: string, row: LinkRow): boolean {
    return this.#world.store.put(LINK + object, row);
  }

  /** Writes what is to be known of the order, unless storage has it. */
  #writeOrder(): void {
    if (this.#links.size === 0) return;
    const row = { position: this.log.position, busy: this.#busy, alarm: this.#world.alarmTime() };
    if (this.#row && isSame(this.#row, row)) return;
    if (this.#world.store.put(ORDER, row)) this.#row = row;
  }
}

/** Whether a row says what another one would; no alarm says nothing. */
function isSame(row: OrderRow, other: OrderRow): boolean {
  if (row.position !== other.position || row.busy !== other.busy) return false;
  return other.alarm === undefined || other.alarm === row.alarm;
}

/**
 * Where an order begins or, after a crash has forgotten how far it had come, goes on: milliseconds as
 * thousands are further than that, unless a channel has had over a million messages a second for all of
 * its life. A child learns its position from its parent.
 */
function firstPosition({ name, now }: World): number | undefined {
  return parentOf(name) === undefined ? now() * 1000 : undefined;
}
