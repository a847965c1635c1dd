/**
 * One object of the tree, whatever it runs on: it makes the parts, and hands events on to them. It has them
 * all from the moment it is brought into memory; nothing wakes later.
 */
import type { Grants } from "../auth/grants.ts";
import type { Guard } from "../auth/verify.ts";
import { Counters } from "../figures/counters.ts";
import { Downstream, type DownstreamEvents } from "../links/downstream.ts";
import type { Answering, Calls, Load } from "../links/messages.ts";
import { Peers } from "../links/peers.ts";
import type { Platform, World } from "../links/world.ts";
import type { Frame } from "../protocol/frames.ts";
import type { From } from "../protocol/positions.ts";
import { type Connection, Connections } from "../sockets/connections.ts";
import { Inbox } from "../sockets/inbox.ts";
import type { Socket, Sockets } from "../sockets/socket.ts";
import { Activity } from "./activity.ts";
import { Alarm } from "./alarm.ts";
import { Answers } from "./answers.ts";
import { ClientLimit } from "./client-limit.ts";
import { Commands } from "./commands.ts";
import { countingRows } from "./counting.ts";
import { Drain } from "./drain.ts";
import { Flush } from "./flush.ts";
import { Journal } from "./journal.ts";
import { Lifecycle } from "./lifecycle.ts";
import { keepsHistory, type Limits } from "./limits.ts";
import { Outage } from "./outage.ts";
import { Reporter } from "./reporter.ts";
import { type Place, Room } from "./room.ts";
import { Router } from "./router.ts";
import { firstExpiry, Tokens } from "./tokens.ts";
import { Tree } from "./tree.ts";

/** How many hops deep an event is that comes by a socket or an alarm. */
const FRESH = 1;
/** The same of an upgrade, which the Worker hands on. */
const UPGRADE = 2;

export class Broker {
  readonly #world: World;
  readonly #peers: Peers;
  readonly #maxGathered: number;
  readonly #connections: Connections;
  readonly #counters: Counters;
  readonly #downstream: Downstream;
  readonly #router: Router;
  readonly #lifecycle: Lifecycle;
  readonly #inbox: Inbox;
  readonly #commands: Commands;
  readonly #tokens: Tokens;
  readonly #reporter: Reporter;
  readonly #room: Room;
  /** Undefined where the number of connections is not limited. */
  readonly #limit: ClientLimit | undefined;
  readonly #answers: Answers;
  readonly #activity: Activity;
  readonly #alarm: Alarm;
  readonly #outage: Outage;
  readonly #flush: Flush;
  readonly #drain: Drain;

  /**
   * Takes up where an earlier life of this object ended.
   * @param guard undefined on a server without tokens
   */
  constructor(bare: Platform, sockets: Sockets, limits: Limits, guard: Guard | undefined) {
    const { maxBufferedBytes, clientLimit } = limits;
    const journal = new Journal(bare);
    const platform = countingRows(bare, () => this.#counters.note("rows"));
    this.#peers = new Peers(
      platform,
      () => this.#alarm.beginAnew(),
      (what, kind) => this.#counters.note(`${what}.${kind}`),
    );
    const world: World = { ...platform, call: (...call) => this.#peers.call(...call) };
    const apart = () => this.#apart();
    this.#world = world;
    this.#maxGathered = maxBufferedBytes / 4;
    this.#activity = new Activity(world, {
      passed: (time) => this.#passed(time),
      settle: () => this.#settle(),
    });
    const connections = new Connections(sockets, limits, world.now, () => this.#flush.soon());
    this.#connections = connections;
    const counters = new Counters(world, connections, (name) => journal.note(name));
    this.#counters = counters;
    this.#alarm = new Alarm(world, firstExpiry(connections), () => this.#downstream.rest);
    this.#outage = new Outage(connections, world);
    this.#drain = new Drain(world, connections, (connection) => this.#lifecycle.closeSlow(connection));
    this.#flush = new Flush(world, this.#activity, connections, this.#drain, () => this.#send());
    const history = keepsHistory(limits, world.name) ? limits : { ...limits, historySeconds: 0 };
    this.#downstream = new Downstream(world, maxBufferedBytes, history, this.#linkEvents(), connections);
    this.#room = new Room(world, limits, (load) => this.#count(load));
    const lost = (channel: string) => this.#lifecycle.closeSubscribers(channel);
    const events = { lost, apart, left: () => this.#unfinished(), awaited: () => this.#activity.note() };
    this.#router = new Router(world, connections, this.#downstream, counters, maxBufferedBytes, events);
    if (clientLimit > 0) {
      this.#limit = new ClientLimit(world, clientLimit, counters, connections.size, apart);
    }
    const emptied = () => this.#emptied();
    this.#lifecycle = new Lifecycle(world, connections, this.#router, counters, this.#limit, emptied);
    this.#tokens = new Tokens(world, connections, this.#alarm, guard);
    const downstream = this.#downstream;
    this.#reporter = new Reporter(world, this.#peers, connections, downstream, counters, clientLimit);
    this.#commands = this.#newCommands(limits);
    this.#answers = this.#newAnswers();
    this.#inbox = new Inbox(this.#commands, limits, world.now);
    this.#takeUp();
  }

  #newAnswers(): Answers {
    return new Answers({
      world: this.#world,
      peers: this.#peers,
      activity: this.#activity,
      downstream: this.#downstream,
      router: this.#router,
      room: this.#room,
      reporter: this.#reporter,
      flush: this.#flush,
      limit: this.#limit,
      tree: new Tree(this.#world, this.#connections, this.#downstream, this.#router),
      sendIfMuch: () => this.#sendIfMuch(),
    });
  }

  #newCommands(limits: Limits): Commands {
    return new Commands({
      limits,
      world: this.#world,
      connections: this.#connections,
      counters: this.#counters,
      router: this.#router,
      lifecycle: this.#lifecycle,
      tokens: this.#tokens,
      reporter: this.#reporter,
      stored: () => this.#flush.done,
    });
  }

  #linkEvents(): DownstreamEvents {
    return {
      busy: () => this.#busy(),
      keeps: (until) => void this.#alarm.goOffBy(until),
      renumbered: (position, count) => {
        this.#downstream.owe();
        this.#router.renumberHere(this.#world.name, position, count);
      },
      due: () => this.#flush.soon(),
      lost: () => void this.#alarm.goOffBy(this.#downstream.retellAt),
      handover: (handover) => this.#reporter.takeOver(handover),
      ended: (object) => this.#linkEnded(object),
    };
  }

  /** Goes on with what an earlier life left. */
  #takeUp(): void {
    for (const object of this.#downstream.objects) if (this.#room.isChild(object)) this.#room.add(object, "");
    if (this.#downstream.isBusy) this.#flush.soon();
    for (const { connection, fault } of this.#tokens.outdated) {
      this.#lifecycle.closeOutdated(connection, fault);
      this.#activity.note();
    }
    void this.#alarm.goOffBy(this.#downstream.retellAt);
    if (this.#router.hasCrashed) this.#downstream.history?.keepPosition();
  }

  // --- events of this object's own sockets

  /** Where the next connection is to go, if not here; see `Room.placeFor`. */
  placeFor(region: string, full: string, below: boolean): Place | undefined {
    return this.#room.placeFor(region, full, below);
  }

  /** A new connection, from somewhere, with what its token grants, and from where in its channel on. */
  opened(socket: Socket, region = "", grants?: Grants, from?: From): void {
    this.#event(UPGRADE);
    this.#router.comeFrom(region);
    const connection = this.#connections.accept(socket, grants);
    if (grants) this.#tokens.watch(grants);
    const resume = from && ((channel: string) => this.#commands.resume(connection, channel, from));
    this.#keep(this.#inbox.begin(connection, this.#lifecycle.greet(connection, resume)));
    this.#room.tellParent("sockets");
  }

  received(socket: Socket, frame: Frame): void {
    this.#event(FRESH);
    const connection = this.#connections.of(socket);
    if (!connection) return;
    if (this.#tokens.hasExpired(connection)) this.#closeExpired(connection);
    else this.#keep(this.#inbox.receive(connection, frame));
    this.#sendIfMuch();
  }

  closed(socket: Socket): void {
    this.#event(FRESH);
    this.#lifecycle.gone(socket);
    this.#room.tellParent("sockets");
  }

  /**
   * The alarm has gone off: goes on with what an earlier life of this object, or an unreachable other one,
   * left unfinished, and closes the connections whose grants have ended.
   */
  alarmed(): void {
    this.#peers.arrived(FRESH);
    // What is not done now, or by a life that crashes before it is, is done when it goes off again.
    void this.#alarm.goOffBy(this.#dueAt());
    const joined = this.#outage.isOver ? this.#askAll() : undefined;
    const expired = this.#tokens.expired;
    for (const connection of expired) this.#closeExpired(connection);
    this.#alarm.expireAt(firstExpiry(this.#connections));
    this.#downstream.expire(this.#isCounted);
    if (this.#downstream.isBusy) {
      this.#alarm.mark();
      this.#flush.soon();
    }
    this.#downstream.retell();
    this.#router.retry();
    // Often there is nothing to do: it is not set back each time that nothing is unfinished any more.
    if (
      joined ||
      this.#downstream.keepsHistory ||
      expired.length > 0 ||
      this.#world.alarmTime() !== undefined
    )
      this.#activity.note();
  }

  /** Asks the root of `all` what there is to ask; undefined if it has been joined. */
  #askAll(): Promise<void> | undefined {
    if (this.#limit?.isKnown === false) this.#limit.recount();
    return this.#router.joinEveryone();
  }

  /** An event has come that is so many hops deep. */
  #event(hop: number): void {
    this.#peers.arrived(hop);
    this.#activity.note();
  }

  /**
   * Answers a call from another object.
   * @param hop how many hops deep this object is then
   */
  called<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    hop: number,
  ): Promise<Calls[Kind]["answer"]> {
    return this.#peers.answer(hop, () => carryOut(this.#answers, kind, ask));
  }

  // --- what parts tell of each other

  #count(load: Load): number {
    if (load === "sockets")
      return this.#connections.isCrowded ? Number.POSITIVE_INFINITY : this.#connections.size;
    return [...this.#downstream.objects].filter((object) => !this.#room.isChild(object)).length;
  }

  #linkEnded(object: string): void {
    if (this.#room.isChild(object)) this.#room.remove(object);
    this.#router.leaveIfUnheard();
    if (this.#downstream.size === 0) this.#downstream.history?.keepPosition();
    this.#room.tellParent("links");
  }

  #closeExpired(connection: Connection): void {
    this.#lifecycle.close(connection, "expired", "your token has expired; connect again with a new one");
  }

  /** Something has to be delivered: that this is over is to be written, however long it takes. */
  #busy(): void {
    this.#alarm.mark();
    this.#activity.note();
  }

  /** The last connection has gone. */
  #emptied(): void {
    this.#alarm.expireAt(Number.POSITIVE_INFINITY);
    this.#reporter.emptied();
  }

  /** Commands that have to wait may be carried out long after their event: what they change is settled then, too. */
  #keep(work: Promise<void> | undefined): void {
    if (work) this.#world.keep(work.finally(() => this.#activity.note()));
  }

  /** Whether clients, here or at linked objects, count on from the newest position. */
  get #isCounted(): boolean {
    return this.#downstream.size > 0 || this.#router.isCounted;
  }

  // --- what is done after an event

  /** Sends what has been gathered, and closes who does not take it: nobody else is to wait or pay for that. */
  #send(): boolean {
    const isAll = this.#sendToSockets();
    this.#downstream.flush();
    return isAll;
  }

  /** Says whether there was room for all; else nothing more comes in until there is. */
  #sendToSockets(): boolean {
    this.#downstream.store();
    for (const connection of this.#connections.flush()) this.#lifecycle.closeSlow(connection);
    const isAll = this.#connections.due === 0;
    if (!isAll) void this.#drain.makeRoom();
    return isAll;
  }

  /**
   * What has been gathered for sockets must not become much of what may wait for one of them, or a
   * flood would look like slow readers. Sending it takes time, which slows the flood down.
   */
  #sendIfMuch(): void {
    if (this.#connections.gathered > this.#maxGathered) this.#sendToSockets();
  }

  /** The root of `all` does not answer. */
  #apart(): void {
    this.#outage.goOn();
    this.#unfinished();
  }

  /** What is left to do has an alarm, which has to be known of when this object leaves memory. */
  #unfinished(): void {
    void this.#alarm.goOffBy(this.#dueAt());
    this.#activity.note();
  }

  /** When something is due next that this object has to do, in memory or not; infinite if nothing is. */
  #dueAt(): number {
    if (this.#router.hearsEveryone && this.#limit?.isKnown !== false) this.#outage.end();
    else this.#outage.begin();
    return Math.min(
      this.#alarm.expiry,
      this.#outage.askAgainAt,
      this.#downstream.retellAt,
      this.#router.dueAt,
      this.#peers.areWaiting ? this.#world.now() : Number.POSITIVE_INFINITY,
    );
  }

  /** Without an alarm, only this object itself can tell that messages are missing: it stays in memory until it has. */
  #stayUnless(goesOff: boolean): void {
    if (!goesOff && Number.isFinite(this.#downstream.retellAt)) this.#activity.note();
  }

  #passed(milliseconds: number): boolean {
    this.#counters.note("awake", milliseconds);
    this.#reporter.save();
    const isAwaited = this.#router.loseLate();
    return this.#lifecycle.closeUnreached() || isAwaited;
  }

  #settle(): void {
    // Before it is written for when the alarm is set.
    const dueAt = this.#dueAt();
    void this.#alarm.goOffBy(dueAt).then((goesOff) => this.#stayUnless(goesOff));
    if (!this.#downstream.settle(this.#isCounted)) {
      this.#downstream.flush();
      this.#activity.note();
    }
    this.#router.settle();
    // By now it is known what has been written.
    this.#reporter.settle();
    // The alarm goes with it.
    if (!Number.isFinite(dueAt)) this.#world.store.release();
    // Nothing else would keep this object in memory until it is written.
    this.#world.keep(this.#world.store.sync());
  }
}

function carryOut<Kind extends keyof Calls>(answering: Answering, kind: Kind, ask: Calls[Kind]["ask"]) {
  return answering[kind](ask);
}
