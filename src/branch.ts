/**
 * One object of the tree, whatever it runs on: the order of its own channel (`feed.ts`), the
 * connections whose home it is (`home.ts`), and what is to be done after an event rather than in it.
 */
import { Census, formatInfo, type ServiceFigures, sum } from "./census.ts";
import type { Socket, Sockets } from "./connections.ts";
import { Feed } from "./feed.ts";
import type { Grants } from "./grants.ts";
import { Home } from "./home.ts";
import type {
  Batch,
  BatchAnswer,
  Claim,
  Delivery,
  DeliveryAnswer,
  LinkAnswer,
  LinkRequest,
  World,
} from "./links.ts";
import { EVERYONE } from "./protocol.ts";
import { Quota } from "./quota.ts";
import type { Settings } from "./settings.ts";
import { type Farewell, type Figures, Stats } from "./stats.ts";
import { Survey } from "./survey.ts";
import { Children, channelOf, type Load, parentOf } from "./tree.ts";
import { BatchOrder } from "./uplink.ts";

/** How long after an event what must outlive this object's time in memory is written, in milliseconds. */
const SETTLE_AFTER = 1_000;

/** Turns without an event after which none is taken to be waiting. */
const QUIET_TURNS = 2;
/** Most turns of the event loop for which gathered lines wait. */
const MAX_TURNS = 64;

/** How soon this object looks again after something was left unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

/** How often, counted in SETTLE_AFTER, figures are written while there is traffic. */
const BUSY_SAVE = 10;

export class Branch {
  readonly #world: World;
  readonly #sockets: Sockets;
  readonly #settings: Settings;
  readonly #stats: Stats;
  readonly #census: Census;
  readonly #survey: Survey;
  readonly #feed: Feed;
  readonly #order = new BatchOrder();
  readonly #parent: string | undefined;
  readonly #children: Children;
  /** What this child has told its parent of how full it is. */
  readonly #full: Record<Load, boolean> = { sockets: false, links: false };
  #region: string | undefined;
  #quota: Quota | undefined;
  #recounting = false;
  #awakeHome: Home | undefined;
  /** Counts what comes in. */
  #events = 0;
  #flushing = false;
  /** Ends when all that has been gathered so far is sent. */
  #flushed = Promise.resolve();
  #settling = false;
  /** When to look again at what is unfinished. */
  #lookAt: number | undefined;

  /** Takes up where an earlier life of this object ended. */
  constructor(world: World, sockets: Sockets, settings: Settings) {
    this.#world = world;
    this.#sockets = sockets;
    this.#settings = settings;
    this.#stats = new Stats(world.store);
    this.#census = new Census(world.store, world.now());
    this.#survey = new Survey(async () => this.#census.of(await this.figures()), world.now);
    this.#parent = parentOf(world.name);
    this.#children = new Children(world.name);
    this.#feed = new Feed(world, channelOf(world.name), settings.maxBufferedBytes, {
      busy: () => this.#watch(),
      farewell: (farewell) => this.#keep(farewell),
      behind: () => this.#flushSoon(),
      ended: (object) => this.#linkEnded(object),
    });
    for (const object of this.#feed.objects) if (this.#isChild(object)) this.#children.add(object, "");
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
      unfinished: () => this.#watch(),
      grantsEnd: () => this.#setAlarm(),
      region: () => this.#region,
      emptied: () => this.#emptied(),
      claim: async (claim) => this.#claimAtRoot(claim),
      info: () => this.#info(),
    });
    return this.#awakeHome;
  }

  // --- events of this object's own sockets

  /**
   * Where the next connection from `region` is to go: undefined means here, "" that a child is full, and
   * its parent has to be asked, which then is to be told so in `full`.
   */
  placeFor(region: string, full: string): string | undefined {
    if (full !== "") this.#children.note(full, "sockets", true);
    if (!this.#isFull("sockets")) return undefined;
    return this.#parent ? "" : this.#children.choose("sockets", region, Number.POSITIVE_INFINITY);
  }

  opened(socket: Socket, region = "", grants?: Grants): void {
    this.#happened();
    this.#region ??= region;
    this.#world.keep(this.#home.opened(socket, grants));
    this.#sayIfFull("sockets");
  }

  received(socket: Socket, frame: string | ArrayBuffer): void {
    this.#happened();
    const done = this.#home.received(socket, frame);
    if (done) this.#world.keep(done);
    this.#flushIfMuch();
  }

  closed(socket: Socket): void {
    this.#happened();
    this.#home.closed(socket);
    this.#sayIfFull("sockets");
  }

  /**
   * The alarm: goes on with what an earlier life of this object, or an unreachable other one, left
   * unfinished, and closes the connections whose grants have ended.
   */
  lookAgain(): void {
    this.#happened();
    // It has gone off.
    this.#world.alarm(undefined);
    this.#lookAt = undefined;
    this.#home.joinEveryone();
    this.#home.recount();
    this.#home.closeExpired();
    this.#flushSoon();
    if (this.#feed.isBusy) this.#watch();
    else this.#setAlarm();
  }

  /** Something is unfinished, and to be looked at again even if this object crashes and nobody calls. */
  #watch(): void {
    const now = this.#world.now();
    if (this.#lookAt !== undefined && this.#lookAt > now) return;
    this.#lookAt = now + LOOK_AGAIN;
    this.#setAlarm();
  }

  /** Nothing is unfinished any more. */
  #unwatch(): void {
    if (this.#lookAt === undefined) return;
    this.#lookAt = undefined;
    this.#setAlarm();
  }

  #setAlarm(): void {
    const end = this.#settings.tokens ? this.#home.grantsEndAt : Number.POSITIVE_INFINITY;
    const time = Math.min(end, this.#lookAt ?? Number.POSITIVE_INFINITY);
    this.#world.alarm(Number.isFinite(time) ? time : undefined);
  }

  // --- calls from other objects; `links.ts` says what they mean

  async link(request: LinkRequest): Promise<LinkAnswer> {
    this.#happened();
    const { from, region = "", still, vouched } = request;
    const channel = channelOf(this.#world.name);
    this.#home.doubt(channel, vouched);
    while (!this.#home.isLive(channel)) await this.#home.join(channel);
    const isNew = this.#feed.epochOf(from) === undefined;
    if (isNew && !still && !this.#isChild(from) && this.#isFull("links")) {
      const instead = this.#children.choose("links", "", this.#settings.linksPerObject);
      return { instead, vouched: this.#feed.vouchFor(instead) };
    }
    if (this.#isChild(from) && !still) this.#children.add(from, region);
    const answer = this.#feed.link(request);
    this.#sayIfFull("links");
    return answer;
  }

  unlink(request: LinkRequest): void {
    this.#happened();
    this.#feed.unlink(request);
  }

  fill(child: string, load: Load, full: boolean): void {
    this.#children.note(child, load, full);
  }

  /** Answers when what was delivered has been sent on, so that meanwhile more gathers for the next call. */
  async deliver(delivery: Delivery): Promise<DeliveryAnswer> {
    this.#happened();
    const answer = this.#home.deliver(delivery);
    this.#flushIfMuch();
    await this.#flushed;
    return answer;
  }

  announce(batch: Batch): BatchAnswer {
    const newer = this.#order.newerThan(batch);
    if (newer !== undefined) return { newer };
    this.#happened();
    const last = this.#home.place(batch.lines, batch.count);
    this.#flushIfMuch();
    return { last };
  }

  /** Only the root of `all` keeps the count. */
  claim(claim: Claim): number {
    this.#happened();
    this.#quota ??= new Quota(this.#world.store, this.#settings.clientLimit);
    const granted = this.#quota.claim(claim);
    const refused = claim.wanted - granted;
    this.#stats.count("rejected", refused);
    if (refused > 0 && !this.#recounting) this.#world.keep(this.#recount(this.#quota));
    return granted;
  }

  recount(): void {
    this.#happened();
    this.#home.recount();
  }

  /** After a refusal, some object is asked whether it still has what it said: it may have crashed. */
  async #recount(quota: Quota): Promise<void> {
    const object = quota.any();
    if (object === undefined) return;
    this.#recounting = true;
    if (object === this.#world.name) this.#home.recount();
    else
      await this.#world
        .peer(object)
        .recount()
        .catch(() => {});
    this.#recounting = false;
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  async figures(): Promise<Figures> {
    if (channelOf(this.#world.name) !== EVERYONE) return this.#home.figures();
    const objects = [...this.#feed.objects];
    const asked = objects.map(async (object) => {
      const epoch = this.#feed.epochOf(object);
      return { object, epoch, figures: await this.#world.peer(object).figures() };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    // What has ended its link since it was asked has handed its figures over.
    const linked = answered.filter(({ object, epoch }) => epoch === this.#feed.epochOf(object));
    return sum(this.#home.figures(), linked, objects.length - answered.length);
  }

  serviceFigures(): Promise<ServiceFigures> {
    this.#happened();
    return this.#survey.figures();
  }

  #keep(farewell: Farewell): void {
    if (this.#parent) this.#stats.keep(farewell);
    else this.#census.ended(farewell, this.#feed.size + this.#home.size);
  }

  #emptied(): void {
    // Its alarm would go with its storage, and without this being known.
    this.#setAlarm();
    // Other objects hand over how many connections they had at most; the root of `all` tells itself.
    if (this.#world.name === EVERYONE) this.#census.note(this.#stats.takePeak(0) + this.#feed.size);
  }

  #claimAtRoot(claim: Claim): number | Promise<number> {
    return this.#world.name === EVERYONE ? this.claim(claim) : this.#world.peer(EVERYONE).claim(claim);
  }

  async #info(): Promise<string> {
    const root = this.#world.name === EVERYONE ? this : this.#world.peer(EVERYONE);
    return formatInfo(await root.serviceFigures(), this.#settings.clientLimit, this.#world.now());
  }

  // --- growing and shrinking

  #isChild(object: string): boolean {
    return parentOf(object) === this.#world.name;
  }

  #count(load: Load): number {
    if (load === "sockets") return this.#home.size;
    return [...this.#feed.objects].filter((object) => !this.#isChild(object)).length;
  }

  #most(load: Load): number {
    return load === "sockets" ? this.#settings.socketsPerObject : this.#settings.linksPerObject;
  }

  #isFull(load: Load): boolean {
    return this.#count(load) >= this.#most(load);
  }

  /** A child tells its parent when it is full, and again when an eighth is free. */
  #sayIfFull(load: Load): void {
    if (!this.#parent) return;
    const most = this.#most(load);
    const count = this.#count(load);
    const said = this.#full[load];
    const full = said ? count > most - Math.max(1, most >> 3) : count >= most;
    if (full === said) return;
    this.#full[load] = full;
    this.#world.keep(
      this.#world
        .peer(this.#parent)
        .fill(this.#world.name, load, full)
        .catch(() => {}),
    );
  }

  #linkEnded(object: string): void {
    if (this.#isChild(object)) this.#children.remove(object);
    this.#home.linkEnded();
    this.#sayIfFull("links");
  }

  // --- what is done after an event

  /** Sends what has been gathered, when what is already waiting to come in has been taken in too. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#flushed = this.#flushWhenQuiet();
    this.#world.keep(this.#flushed);
  }

  /**
   * What has been gathered for sockets must not become much of what may wait for one of them, or a
   * flood would look like slow readers. Sending it takes time, which slows the flood down.
   */
  #flushIfMuch(): void {
    if (this.#home.gathered > this.#settings.maxBufferedBytes / 4) this.#home.flush();
  }

  /** Whatever happens to the turns, what has been gathered goes out, and the next flush can begin. */
  async #flushWhenQuiet(): Promise<void> {
    try {
      await this.#takeIn();
    } finally {
      this.#flushing = false;
      this.#awakeHome?.flush();
      this.#feed.flush();
    }
  }

  /**
   * Turns the event loop until nothing new comes in. What is sent costs the same however much it is, so
   * it pays to send once; and as each turn ends at once, nothing waits for what is not there yet.
   * A turn costs about as much as a send, so there are at most a quarter as many as sockets to send to.
   * If even then more comes in, this object is flooded, and lets the runtime take in all there is, once:
   * so no flood can put off for long what is due to others.
   */
  async #takeIn(): Promise<void> {
    let quiet = 0;
    for (let turn = 0, seen = this.#events; quiet < QUIET_TURNS && turn < this.#mostTurns; turn++) {
      await this.#world.turn();
      quiet = seen === this.#events ? quiet + 1 : 0;
      seen = this.#events;
    }
    if (quiet < QUIET_TURNS) await this.#world.sleep(0);
  }

  get #mostTurns(): number {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, (this.#awakeHome?.due ?? 0) >> 2));
  }

  /** Notes an event. What must not be forgotten is written in a while; until then this object stays. */
  #happened(): void {
    this.#events += 1;
    if (!this.#settling) this.#settleIn(SETTLE_AFTER, 1);
  }

  #settleIn(milliseconds: number, times: number): void {
    this.#settling = true;
    const events = this.#events;
    this.#world.after(milliseconds, () => {
      const unreached = this.#awakeHome?.closeUnreached() ?? false;
      // While there is traffic, only figures are written, and not often: it all costs others time.
      if (events === this.#events && !unreached) this.#settle();
      else {
        if (times % BUSY_SAVE === 0) this.#stats.save();
        this.#settleIn(milliseconds, times + 1);
      }
    });
  }

  #settle(): void {
    this.#settling = false;
    this.#stats.save();
    if (this.#world.name === EVERYONE) this.#census.note(0);
    if (!this.#feed.settle()) this.#happened();
    else if (this.#awakeHome?.hearsEveryone) this.#unwatch();
    this.#world.store.release();
    // Nothing else would keep this object in memory until it is written.
    this.#world.keep(this.#world.store.sync());
  }
}
