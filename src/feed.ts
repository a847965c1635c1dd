/** The delivering end of links: a channel's order, and the objects that hear it. */
import {
  ATTEMPTS,
  backoff,
  countFailure,
  type Delivery,
  type DeliveryAnswer,
  type LinkAnswer,
  type LinkRequest,
  type World,
} from "./links.ts";
import type { Farewell } from "./stats.ts";
import { parentOf } from "./tree.ts";

/** Most characters in one delivery; the runtime's own limit for a call is 32 MiB. */
const MAX_DELIVERY = 1_000_000;

interface Link {
  readonly object: string;
  readonly epoch: number;
  /** Everything up to this place has arrived. */
  acknowledged: number;
  /** A call failed since then, so some of what follows may have arrived too. */
  unsure: boolean;
  /** Messages were dropped; all that is left to send is this fact. */
  lost: boolean;
  sending: boolean;
}

/** Some messages with neighbouring places, as lines. */
interface Entry {
  last: number;
  count: number;
  lines: string;
}

/** What storage remembers of a link, under `link:<object>`. */
interface LinkRow {
  epoch: number;
  lost: boolean;
}

/** What storage remembers of the order, under `feed`, while there are links. */
interface FeedRow {
  /** Undefined while a child has to learn it from its parent. */
  sequence: number | undefined;
  /** Set from before the first message after a quiet time until every link has everything. */
  busy: boolean;
}

/** What the owner of a feed is told. */
export interface FeedEvents {
  /** Something has to be delivered; if this object crashed now, its links would have to be told. */
  busy(): void;
  /** A link has ended whose figures are to be kept, this once. */
  farewell(farewell: Farewell): void;
  /** A link has taken what it was sent, and there is more: a flush is due. */
  behind(): void;
  /** A link has ended. */
  ended(object: string): void;
}

const LINK = "link:";
const FEED = "feed";

/**
 * One channel's order and the links that carry it on. One call at a time is under way on a link;
 * what is placed meanwhile goes out together in the next one. All links share one log of messages,
 * so a slow one costs memory once, up to `maxBuffered` characters; past that it is cut off.
 */
export class Feed {
  readonly #world: World;
  readonly #channel: string;
  readonly #maxBuffered: number;
  readonly #events: FeedEvents;
  readonly #links = new Map<string, Link>();
  #log: Entry[] = [];
  #buffered = 0;
  #sequence: number;
  /** Whether `#sequence` is a place in the order; a child may have to learn that from its parent. */
  #placed: boolean;
  #busy: boolean;

  /**
   * Takes up from storage where an earlier life of this object ended. If that life ended in the
   * middle of deliveries, nobody knows what arrived: every link of it is lost.
   */
  constructor(world: World, channel: string, maxBuffered: number, events: FeedEvents) {
    this.#world = world;
    this.#channel = channel;
    this.#maxBuffered = maxBuffered;
    this.#events = events;
    const row = world.store.get<FeedRow>(FEED);
    const crashed = row?.busy ?? false;
    // A crash forgets how far the order had come. Milliseconds as thousands are further than that,
    // unless a channel has had over a million messages a second for all of its life.
    const known = crashed ? undefined : row?.sequence;
    this.#sequence = known ?? world.now() * 1000;
    this.#placed = known !== undefined || parentOf(world.name) === undefined;
    this.#busy = crashed;
    for (const [key, { epoch, lost }] of world.store.list<LinkRow>(LINK)) {
      const object = key.slice(LINK.length);
      const link = { object, epoch, acknowledged: this.#sequence, unsure: false, lost, sending: false };
      this.#links.set(object, link);
      if (crashed) this.#cutOff(link);
    }
  }

  /** Whether a crash now would leave links in doubt. */
  get isBusy(): boolean {
    return this.#busy;
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

  /** The place of the newest message; undefined if a child has to learn that from its parent. */
  get place(): number | undefined {
    return this.#placed ? this.#sequence : undefined;
  }

  /** Gives `count` messages the next places in the order; `flush` sends them on. */
  append(lines: string, count: number): number {
    if (this.#links.size > 0) this.#remember(lines, count);
    else this.#sequence += count;
    return this.#sequence;
  }

  /** Takes over `count` messages that a parent has sent, with the places that they have. */
  relay(lines: string, count: number, after: number): void {
    this.begin(after);
    if (after !== this.#sequence) throw new Error(`relays ${after} after ${this.#sequence}`);
    this.append(lines, count);
  }

  /** Messages are missing from here on, for every link there is: a child begins anew. */
  loseAll(): void {
    for (const link of this.#links.values()) if (!link.lost) this.#cutOff(link);
    this.forgetPlace();
    if (this.#links.size > 0) this.#write();
    this.flush();
  }

  /** A child is not linked to its parent any more. */
  forgetPlace(): void {
    this.#placed = false;
  }

  /** A child that knows no place begins where its parent says that its messages go on. */
  begin(after: number): void {
    if (this.#placed) return;
    this.#placed = true;
    this.#sequence = after;
    this.#forgetLog();
  }

  /** Starts to send what each link is behind by. Returns at once. */
  flush(): void {
    for (const link of this.#links.values()) {
      if (!link.sending && this.#owes(link)) this.#world.keep(this.#send(link));
    }
  }

  /** Links `from`, or finds it linked already; deliveries go on after the place answered. */
  link({ from, epoch, farewell, still }: LinkRequest): LinkAnswer {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) {
      // Neither side can know what of the failed call has arrived.
      if (still && still.last === undefined && known.unsure) this.#cutOff(known);
      return known.lost ? { newer: epoch } : { after: known.acknowledged };
    }
    if (still) return { newer: epoch };
    if (known) this.#end(known, farewell);
    this.#links.set(from, {
      object: from,
      epoch,
      acknowledged: this.#sequence,
      unsure: false,
      lost: false,
      sending: false,
    });
    this.#world.store.put<LinkRow>(LINK + from, { epoch, lost: false });
    this.#write();
    return { after: this.#sequence };
  }

  /** Ends the link of `from`, unless it was asked for later than `epoch`. */
  unlink({ from, epoch, farewell }: LinkRequest): void {
    const known = this.#links.get(from);
    if (!known || known.epoch > epoch) return;
    this.#end(known, farewell);
    this.#events.ended(from);
  }

  /**
   * Notes in storage that every link has everything, if that is so.
   * @returns whether the feed is at rest, so that nothing would be lost if this object left memory
   */
  settle(): boolean {
    if (!this.#busy) return true;
    for (const link of this.#links.values()) {
      if (link.sending || (this.#owes(link) && !link.lost)) return false;
    }
    this.#busy = false;
    this.#write();
    return true;
  }

  #remember(lines: string, count: number): void {
    if (!this.#busy) {
      this.#busy = true;
      this.#write();
      this.#events.busy();
    }
    this.#sequence += count;
    this.#log.push({ last: this.#sequence, count, lines });
    this.#buffered += lines.length;
    if (this.#buffered > this.#maxBuffered) this.#shorten();
  }

  #owes(link: Link): boolean {
    return link.lost || link.acknowledged < this.#sequence;
  }

  /** Sends once, however often that has to be tried; what has come meanwhile goes with the next flush. */
  async #send(link: Link): Promise<void> {
    link.sending = true;
    let reached = false;
    for (let failures = 0; !reached && this.#links.get(link.object) === link; ) {
      const delivery = this.#nextDelivery(link);
      try {
        this.#acknowledge(link, delivery, await this.#world.peer(link.object).deliver(delivery));
        reached = true;
      } catch (error) {
        failures = countFailure(failures, error);
        link.unsure = true;
        if (failures >= ATTEMPTS) {
          if (link.lost) break;
          this.#cutOff(link);
          failures = 0;
        } else await this.#world.sleep(backoff(failures));
      }
    }
    link.sending = false;
    if (reached && this.#links.get(link.object) === link && this.#owes(link)) this.#events.behind();
  }

  #nextDelivery(link: Link): Delivery {
    const base = {
      channel: this.#channel,
      from: this.#world.name,
      epoch: link.epoch,
      after: link.acknowledged,
    };
    if (link.lost) return { ...base, count: 0, lines: "", again: link.unsure, lost: true };
    const start = this.#log.findLastIndex((entry) => entry.last <= link.acknowledged) + 1;
    let lines = "";
    let count = 0;
    for (let i = start; i < this.#log.length; i++) {
      const entry = this.#log[i];
      if (!entry || (count > 0 && lines.length + entry.lines.length > MAX_DELIVERY)) break;
      lines += entry.lines;
      count += entry.count;
    }
    return { ...base, count, lines, again: link.unsure, lost: false };
  }

  #acknowledge(link: Link, delivery: Delivery, answer: DeliveryAnswer): void {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link, answer.farewell);
      this.#events.ended(link.object);
      return;
    }
    // A link that was cut off while this call was under way has been promised more than it got.
    if (link.lost) return;
    link.unsure = false;
    link.acknowledged = delivery.after + delivery.count;
    if (link.acknowledged === this.#sequence) this.#shortenIfAllHaveIt();
  }

  #shortenIfAllHaveIt(): void {
    for (const link of this.#links.values()) {
      if (!link.lost && link.acknowledged < this.#sequence) return;
    }
    this.#forgetLog();
  }

  #forgetLog(): void {
    this.#log = [];
    this.#buffered = 0;
  }

  /** Drops what every link has; if that is not enough, cuts off the links that are furthest behind. */
  #shorten(): void {
    let slowest = this.#sequence;
    for (const link of this.#links.values()) {
      if (!link.lost) slowest = Math.min(slowest, link.acknowledged);
    }
    this.#dropUntil((entry) => entry.last > slowest);
    if (this.#buffered <= this.#maxBuffered) return;
    this.#dropUntil(() => this.#buffered <= this.#maxBuffered / 2);
    const oldest = this.#log[0];
    const kept = oldest ? oldest.last - oldest.count : this.#sequence;
    for (const link of this.#links.values()) {
      if (!link.lost && link.acknowledged < kept) this.#cutOff(link);
    }
  }

  #dropUntil(enough: (entry: Entry) => boolean): void {
    let dropped = 0;
    for (const entry of this.#log) {
      if (enough(entry)) break;
      this.#buffered -= entry.lines.length;
      dropped += 1;
    }
    this.#log = this.#log.slice(dropped);
  }

  #write(): void {
    this.#world.store.put<FeedRow>(FEED, { sequence: this.place, busy: this.#busy });
  }

  #cutOff(link: Link): void {
    link.lost = true;
    this.#world.store.put<LinkRow>(LINK + link.object, { epoch: link.epoch, lost: true });
  }

  #end(link: Link, farewell: Farewell | undefined): void {
    this.#links.delete(link.object);
    this.#world.store.delete(LINK + link.object);
    if (farewell?.period === link.epoch) this.#events.farewell(farewell);
    if (this.#links.size > 0) return;
    this.#forgetLog();
    this.#busy = false;
    this.#world.store.delete(FEED);
  }
}
