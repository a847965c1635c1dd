/**
 * One object of the tree, whatever it runs on: it makes the parts, and hands events on to them. It has them
 * all from the moment it is brought into memory; nothing wakes later.
 */
import type { Grants } from "../auth/grants.ts";
import type { Verify } from "../auth/verify.ts";
import { Counters } from "../figures/counters.ts";
import { Downstream, type DownstreamEvents } from "../links/downstream.ts";
import { BatchNumbers } from "../links/forwarding.ts";
import type {
  Answering,
  Batch,
  BatchAnswer,
  Calls,
  Claim,
  Delivery,
  DeliveryAnswer,
  Figures,
  Filling,
  Kept,
  LinkAnswer,
  LinkRequest,
  Load,
  Missing,
  ServiceFigures,
  UnlinkRequest,
} from "../links/messages.ts";
import { channelOf } from "../links/names.ts";
import { Peers } from "../links/peers.ts";
import type { Platform, World } from "../links/world.ts";
import { POLICY } from "../protocol/close-codes.ts";
import type { Frame } from "../protocol/frames.ts";
import type { From } from "../protocol/positions.ts";
import { type Connection, Connections } from "../sockets/connections.ts";
import { Inbox } from "../sockets/inbox.ts";
import type { Socket, Sockets } from "../sockets/socket.ts";
import { Activity } from "./activity.ts";
import { Alarm } from "./alarm.ts";
import { ClientLimit } from "./client-limit.ts";
import { Commands } from "./commands.ts";
import { Drain } from "./drain.ts";
import { Flush } from "./flush.ts";
import { Lifecycle } from "./lifecycle.ts";
import { keepsHistory, type Limits } from "./limits.ts";
import { Reporter } from "./reporter.ts";
import { type Place, Room } from "./room.ts";
import { Router } from "./router.ts";
import { firstExpiry, Tokens } from "./tokens.ts";

/** How many hops deep an event is that comes by a socket or an alarm. */
const FRESH = 1;
/** The same of an upgrade, which the Worker hands on. */
const UPGRADE = 2;

export class Broker implements Answering {
  readonly #world: World;
  readonly #peers: Peers;
  readonly #maxGathered: number;
  readonly #connections: Connections;
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
  readonly #batches = new BatchNumbers();
  readonly #activity: Activity;
  readonly #alarm: Alarm;
  readonly #flush: Flush;
  readonly #drain: Drain;

  /**
   * Takes up where an earlier life of this object ended.
   * @param verify undefined on a server without tokens
   */
  constructor(platform: Platform, sockets: Sockets, limits: Limits, verify: Verify | undefined) {
    const { maxBufferedBytes, clientLimit } = limits;
    this.#peers = new Peers(platform, () => this.#alarm.beginAnew());
    const world: World = { ...platform, call: (...call) => this.#peers.call(...call) };
    const unfinished = () => this.#unfinished();
    this.#world = world;
    this.#maxGathered = maxBufferedBytes / 4;
    this.#activity = new Activity(world, { passed: () => this.#passed(), settle: () => this.#settle() });
    const connections = new Connections(sockets, limits, world.now, () => this.#flush.soon());
    this.#connections = connections;
    const counters = new Counters(world, connections);
    this.#alarm = new Alarm(world, firstExpiry(connections), () => this.#downstream.rest);
    this.#drain = new Drain(world, connections, (connection) => this.#lifecycle.closeSlow(connection));
    this.#flush = new Flush(world, this.#activity, connections, this.#drain, () => this.#send());
    const history = keepsHistory(limits, world.name) ? limits : { ...limits, historySeconds: 0 };
    this.#downstream = new Downstream(world, maxBufferedBytes, history, this.#linkEvents(), connections);
    this.#room = new Room(world, limits, (load) => this.#count(load));
    const events = { lost: (channel: string) => this.#lifecycle.closeSubscribers(channel), unfinished };
    this.#router = new Router(world, connections, this.#downstream, counters, maxBufferedBytes, events);
    if (clientLimit > 0) {
      this.#limit = new ClientLimit(world, clientLimit, counters, connections.size, unfinished);
    }
    const emptied = () => this.#emptied();
    this.#lifecycle = new Lifecycle(world, connections, this.#router, counters, this.#limit, emptied);
    this.#tokens = new Tokens(world, connections, this.#alarm, verify);
    this.#reporter = new Reporter(world, connections, this.#downstream, counters, clientLimit);
    const parts = {
      limits,
      world,
      connections,
      counters,
      router: this.#router,
      lifecycle: this.#lifecycle,
      tokens: this.#tokens,
      reporter: this.#reporter,
    };
    this.#commands = new Commands(parts);
    this.#inbox = new Inbox(this.#commands, limits, world.now);
    this.#takeUp();
  }

  #linkEvents(): DownstreamEvents {
    return {
      busy: () => this.#alarm.mark(),
      keeps: (until) => this.#alarm.goOffBy(until),
      due: () => this.#flush.soon(),
      handover: (handover) => this.#reporter.takeOver(handover),
      ended: (object) => this.#linkEnded(object),
    };
  }

  /** Goes on with what an earlier life left. */
  #takeUp(): void {
    for (const object of this.#downstream.objects) if (this.#room.isChild(object)) this.#room.add(object, "");
    if (this.#downstream.isBusy) this.#flush.soon();
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
    this.#world.keep(this.#inbox.begin(connection, this.#lifecycle.greet(connection, resume)));
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
    const joined = this.#router.joinEveryone();
    if (this.#limit?.isKnown === false) this.#limit.recount();
    const expired = this.#tokens.expired;
    for (const connection of expired) this.#closeExpired(connection);
    this.#alarm.expireAt(firstExpiry(this.#connections));
    this.#downstream.expire(this.#connections.size > 0);
    if (this.#downstream.isBusy) {
      this.#alarm.mark();
      this.#flush.soon();
    }
    // Often there is nothing to do: it is not set back each time that nothing is unfinished any more.
    if (
      joined ||
      this.#downstream.keepsHistory ||
      expired.length > 0 ||
      this.#world.alarmTime() !== undefined
    )
      this.#activity.note();
  }

  /** An event has come that is so many hops deep. */
  #event(hop: number): void {
    this.#peers.arrived(hop);
    this.#activity.note();
  }

  // --- calls from other objects; `links/messages.ts` says what they mean

  /** Answers a call; which hop it is an older version does not say. */
  called<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    hop?: number,
  ): Promise<Calls[Kind]["answer"]> {
    return this.#peers.answer(hop, () => carryOut(this, kind, ask));
  }

  async link(request: LinkRequest): Promise<LinkAnswer> {
    this.#activity.note();
    const { from, region = "", still, vouched } = request;
    if (!this.#router.isVouchedFor(vouched)) {
      const channel = channelOf(this.#world.name);
      this.#router.doubtOwn();
      while (!this.#router.isLive(channel)) await this.#router.join(channel);
    }
    if (this.#room.isChild(from)) {
      if (!still) this.#room.add(from, region);
    } else if (!still && this.#downstream.epochOf(from) === undefined && this.#room.isFull("links")) {
      const instead = this.#room.childForLink();
      return { instead, vouched: this.#downstream.vouchFor(instead) };
    }
    const answer = this.#downstream.link(request);
    this.#room.tellParent("links");
    return answer;
  }

  unlink(request: UnlinkRequest): undefined {
    this.#activity.note();
    this.#downstream.unlink(request);
  }

  /** Answers when what was delivered has been sent on, so that meanwhile more gathers for the next call. */
  async deliver(delivery: Delivery): Promise<DeliveryAnswer> {
    this.#activity.note();
    const answer = this.#router.deliver(delivery);
    this.#sendIfMuch();
    await this.#flush.done;
    return answer;
  }

  async forward(batch: Batch): Promise<BatchAnswer> {
    const newer = this.#batches.newerThan(batch);
    if (newer !== undefined) return { newer };
    this.#activity.note();
    const { key, lines } = batch;
    const last = key === undefined ? this.#router.take(batch) : this.#router.takeOnce(key, lines);
    this.#sendIfMuch();
    // Whoever is told of it can count on it: the answer goes out when it is stored.
    if (this.#downstream.keepsHistory) await this.#flush.done;
    return { last };
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  recover(missing: Missing): Kept {
    return this.#downstream.recover(missing);
  }

  fill(filling: Filling): undefined {
    this.#room.note(filling);
  }

  claim(claim: Claim): number {
    this.#activity.note();
    return this.#limit?.claim(claim) ?? claim.wanted;
  }

  recount(): undefined {
    this.#activity.note();
    this.#limit?.recount();
  }

  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  figures(): Promise<Figures> {
    return this.#reporter.figures();
  }

  serviceFigures(): Promise<ServiceFigures> {
    this.#activity.note();
    return this.#reporter.serviceFigures();
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
    this.#room.tellParent("links");
  }

  #closeExpired(connection: Connection): void {
    this.#lifecycle.close(connection, POLICY, "your token has expired; connect again with a new one");
  }

  /** The last connection has gone. */
  #emptied(): void {
    this.#alarm.expireAt(Number.POSITIVE_INFINITY);
    this.#reporter.emptied();
  }

  #keep(work: Promise<void> | undefined): void {
    if (work) this.#world.keep(work);
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

  /** What is left to do has an alarm, which has to be known of when this object leaves memory. */
  #unfinished(): void {
    this.#alarm.watch();
    this.#activity.note();
  }

  #passed(): boolean {
    this.#reporter.save();
    return this.#lifecycle.closeUnreached();
  }

  #settle(): void {
    this.#reporter.settle();
    if (!this.#router.hearsEveryone) this.#alarm.watch();
    if (!this.#downstream.settle()) {
      this.#downstream.flush();
      this.#activity.note();
    }
    this.#downstream.release(this.#connections.size > 0);
    this.#downstream.history?.settle();
    this.#world.store.release();
    // Nothing else would keep this object in memory until it is written.
    this.#world.keep(this.#world.store.sync());
  }
}

function carryOut<Kind extends keyof Calls>(answering: Answering, kind: Kind, ask: Calls[Kind]["ask"]) {
  return answering[kind](ask);
}
