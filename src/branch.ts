/**
 * One object of the tree, whatever it runs on: the order of its own channel (`feed.ts`), the
 * connections whose home it is (`home.ts`), and what is to be done after an event rather than in it.
 */
import { Census, formatInfo, type ServiceFigures } from "./census.ts";
import type { Socket, Sockets } from "./connections.ts";
import { Feed } from "./feed.ts";
import { Home } from "./home.ts";
import type {
  Batch,
  BatchAnswer,
  Delivery,
  DeliveryAnswer,
  LinkAnswer,
  LinkRequest,
  World,
} from "./links.ts";
import { EVERYONE } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { type Figures, Stats } from "./stats.ts";
import { BatchOrder } from "./uplink.ts";

/** How long after an event what must outlive this object's time in memory is written, in milliseconds. */
const SETTLE_AFTER = 1_000;

/** Turns without an event after which none is taken to be waiting. */
const QUIET_TURNS = 2;
/** Most turns of the event loop for which gathered lines wait; each takes in at least one event. */
const MAX_TURNS = 64;

export class Branch {
  readonly #world: World;
  readonly #sockets: Sockets;
  readonly #settings: Settings;
  readonly #stats: Stats;
  readonly #census: Census;
  readonly #feed: Feed;
  readonly #order = new BatchOrder();
  #awakeHome: Home | undefined;
  /** Counts what comes in. */
  #events = 0;
  #flushing = false;
  #settling = false;

  /** Takes up where an earlier life of this object ended. */
  constructor(world: World, sockets: Sockets, settings: Settings) {
    this.#world = world;
    this.#sockets = sockets;
    this.#settings = settings;
    this.#stats = new Stats(world.store);
    this.#census = new Census(world.store, world.now());
    this.#feed = new Feed(world, world.name, settings.maxBufferedBytes, {
      busy: () => world.watch(),
      farewell: (farewell) => this.#census.ended(farewell, this.#feed.size + this.#home.size),
    });
    if (this.#feed.isBusy) this.#flushSoon();
  }

  /** Made when something first needs it, as it reads what every hibernated socket is subscribed to. */
  get #home(): Home {
    this.#awakeHome ??= new Home({
      world: this.#world,
      sockets: this.#sockets,
      settings: this.#settings,
      stats: this.#stats,
      feed: this.#feed,
      flushSoon: () => this.#flushSoon(),
      emptied: () => this.#emptied(),
      info: () => this.#info(),
    });
    return this.#awakeHome;
  }

  // --- events of this object's own sockets

  opened(socket: Socket): void {
    this.#happened();
    this.#world.keep(this.#home.opened(socket));
  }

  received(socket: Socket, frame: string | ArrayBuffer): void {
    this.#happened();
    const done = this.#home.received(socket, frame);
    if (done) this.#world.keep(done);
  }

  closed(socket: Socket): void {
    this.#happened();
    this.#home.closed(socket);
  }

  /** Goes on with what an earlier life of this object, or an unreachable other one, left unfinished. */
  lookAgain(): void {
    this.#happened();
    this.#home.joinEveryone();
    this.#flushSoon();
  }

  // --- calls from other objects; `links.ts` says what they mean

  link(request: LinkRequest): LinkAnswer {
    this.#happened();
    return this.#feed.link(request);
  }

  unlink(request: LinkRequest): void {
    this.#happened();
    this.#feed.unlink(request);
  }

  deliver(delivery: Delivery): DeliveryAnswer {
    this.#happened();
    return this.#home.deliver(delivery);
  }

  announce(batch: Batch): BatchAnswer {
    const newer = this.#order.newerThan(batch);
    if (newer !== undefined) return { newer };
    this.#happened();
    return { last: this.#home.place(batch.lines, batch.count) };
  }

  figures(): Figures {
    this.#happened();
    return this.#home.figures();
  }

  async serviceFigures(): Promise<ServiceFigures> {
    const objects = [...this.#feed.objects];
    const asked = objects.map(async (object) => {
      const epoch = this.#feed.epochOf(object);
      return { object, epoch, figures: await this.#world.peer(object).figures() };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    // What has ended its link since it was asked has handed its figures over.
    const linked = answered.filter(({ object, epoch }) => epoch === this.#feed.epochOf(object));
    return this.#census.sum([{ figures: this.figures() }, ...linked], objects.length - answered.length);
  }

  /** Other objects hand over how many connections they had at most; the root of `all` tells itself. */
  #emptied(): void {
    if (this.#world.name === EVERYONE) this.#census.note(this.#stats.takePeak(0) + this.#feed.size);
  }

  async #info(): Promise<string> {
    const root = this.#world.name === EVERYONE ? this : this.#world.peer(EVERYONE);
    return formatInfo(await root.serviceFigures(), this.#world.now());
  }

  // --- what is done after an event

  /** Sends what has been gathered, when what is already waiting to come in has been taken in too. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#world.keep(this.#flushWhenQuiet());
  }

  /**
   * Turns the event loop until a turn has brought nothing new. What is sent costs the same however much
   * it is, so it pays to send once; and as each turn ends at once, nothing waits for what is not there
   * yet. The number of turns is bounded, so that no flood can put off what is due to others.
   */
  async #flushWhenQuiet(): Promise<void> {
    let seen = this.#events;
    for (let turn = 0, quiet = 0; turn < MAX_TURNS && quiet < QUIET_TURNS; turn++) {
      await this.#world.turn();
      quiet = seen === this.#events ? quiet + 1 : 0;
      seen = this.#events;
    }
    this.#flushing = false;
    this.#awakeHome?.flush();
    this.#feed.flush();
  }

  /** Notes an event. What must not be forgotten is written in a while; until then this object stays. */
  #happened(): void {
    this.#events += 1;
    if (this.#settling) return;
    this.#settling = true;
    this.#world.after(SETTLE_AFTER, () => {
      this.#settling = false;
      this.#settle();
    });
  }

  #settle(): void {
    this.#stats.save();
    if (this.#world.name === EVERYONE)
      this.#census.note(this.#stats.takePeak(this.#home.size) + this.#feed.size);
    if (!this.#feed.settle()) this.#happened();
    else if (this.#awakeHome?.hearsEveryone) this.#world.unwatch();
    this.#world.store.release();
    // Nothing else would keep this object in memory until it is written.
    this.#world.keep(this.#world.store.sync());
  }
}
