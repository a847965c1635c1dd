/**
 * One object of the tree, whatever it runs on: it makes the parts, and hands events on to them. It has them
 * all from the moment it is brought into memory; nothing wakes later.
 */
import type { Grants } from "../auth/grants.ts";
import type { Guard } from "../auth/verify.ts";
import type { Frame } from "../protocol/frames.ts";
import type { From } from "../protocol/positions.ts";
import type { Answering, Calls, Load } from "../runtime/calls.ts";
import { keepsHistory, type Limits } from "../runtime/limits.ts";
import type { RawRuntime, Runtime } from "../runtime/runtime.ts";
import { Commands } from "../session/commands.ts";
import { type Connection, Connections } from "../session/connections.ts";
import { Drain } from "../session/drain.ts";
import { Inbox } from "../session/inbox.ts";
import { Lifecycle } from "../session/lifecycle.ts";
import { Pace } from "../session/pace.ts";
import type { Socket, Sockets } from "../session/socket.ts";
import { firstExpiry, Tokens } from "../session/tokens.ts";
import { Counters } from "../stats/counters.ts";
import { type Place, Room } from "../tree/capacity.ts";
import { Downstream, type DownstreamEvents } from "../tree/downstream.ts";
import { Peers } from "../tree/peers.ts";
import { Router } from "../tree/router.ts";
import { Tree } from "../tree/topology.ts";
import { Activity } from "./activity.ts";
import { Alarm } from "./alarm.ts";
import { Answers } from "./answers.ts";
import { ClientLimit } from "./client-limit.ts";
import { Flush } from "./flush.ts";
import { Obligations } from "./obligations.ts";
import { Journal } from "./operator-log.ts";
import { Reporter } from "./reporter.ts";
import { countingRows } from "./row-counting.ts";

/** How many hops deep an event is that comes by a socket or an alarm. */
const FRESH = 1;
/** The same of an upgrade, which the Worker hands on. */
const UPGRADE = 2;

export class Broker {
  readonly #runtime: Runtime;
  readonly #peers: Peers;
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
  readonly #obligations: Obligations;
  readonly #flush: Flush;
  readonly #drain: Drain;
  readonly #pace: Pace;

  /**
   * Takes up where an earlier life of this object ended.
   * @param guard undefined on a server without tokens
   */
  constructor(bare: RawRuntime, sockets: Sockets, limits: Limits, guard: Guard | undefined) {
    const { maxBufferedBytes, clientLimit } = limits;
    const journal = new Journal(bare);
    const platform = countingRows(bare, (isTaken) => this.#counters.note(isTaken ? "rows" : "rows.refused"));
    this.#peers = this.#newPeers(platform);
    const runtime: Runtime = { ...platform, call: (...call) => this.#peers.call(...call) };
    const apart = () => this.#obligations.apart();
    this.#runtime = runtime;
    this.#activity = new Activity(runtime, {
      passed: (time) => this.#passed(time),
      settle: () => this.#settle(),
    });
    const connections = this.#newConnections(sockets, limits);
    this.#connections = connections;
    const counters = new Counters(runtime, connections, (name) => journal.note(name));
    this.#counters = counters;
    this.#alarm = new Alarm(runtime, firstExpiry(connections), () => this.#downstream.rest);
    this.#drain = this.#newDrain();
    const room = () => (connections.isBlocked ? this.#flush.done : undefined);
    this.#pace = new Pace(runtime, limits.mostWork, room);
    this.#flush = new Flush(runtime, this.#activity, connections, this.#drain, this.#pace, () =>
      this.#send(),
    );
    const history = keepsHistory(limits, runtime.name) ? limits : { ...limits, historySeconds: 0 };
    this.#downstream = new Downstream(runtime, maxBufferedBytes, history, this.#linkEvents(), connections);
    this.#room = new Room(runtime, limits, (load) => this.#count(load));
    const lost = (channel: string) => this.#lifecycle.closeSubscribers(channel);
    const left = () => this.#obligations.unfinished();
    const events = { lost, apart, left, awaited: () => this.#activity.note() };
    this.#router = new Router(runtime, connections, this.#downstream, counters, maxBufferedBytes, events);
    if (clientLimit > 0) {
      this.#limit = new ClientLimit(runtime, clientLimit, counters, connections.size, apart);
    }
    const emptied = () => this.#emptied();
    this.#lifecycle = new Lifecycle(runtime, connections, this.#router, counters, this.#limit, emptied);
    this.#tokens = new Tokens(runtime, connections, this.#alarm, guard, (connection) =>
      this.#lifecycle.closeExpired(connection),
    );
    const downstream = this.#downstream;
    this.#reporter = new Reporter(runtime, this.#peers, connections, downstream, counters, clientLimit);
    this.#obligations = this.#newObligations();
    this.#commands = this.#newCommands(limits);
    this.#answers = this.#newAnswers();
    this.#inbox = new Inbox(this.#commands, limits, runtime.now, (...step) => this.#between(...step));
    this.#takeUp();
  }

  #newPeers(platform: RawRuntime): Peers {
    return new Peers(
      platform,
      () => this.#alarm.beginAnew(),
      (what, kind) => this.#counters.note(`${what}.${kind}`),
      () => this.#downstream.size,
    );
  }

  #newConnections(sockets: Sockets, limits: Limits): Connections {
    return new Connections(sockets, limits, this.#runtime.now, {
      due: () => this.#flush.soon(),
      unkept: (connection) => this.#lifecycle.closeUnkept(connection),
    });
  }

  #newDrain(): Drain {
    return new Drain(this.#runtime, this.#connections, {
      close: (connection) => this.#lifecycle.closeSlow(connection),
      flush: () => {
        this.#closeEnded();
        this.#downstream.store();
        this.#connections.flush();
      },
    });
  }

  #newObligations(): Obligations {
    return new Obligations(this.#connections, {
      runtime: this.#runtime,
      peers: this.#peers,
      activity: this.#activity,
      alarm: this.#alarm,
      downstream: this.#downstream,
      router: this.#router,
      limit: this.#limit,
    });
  }

  #newAnswers(): Answers {
    return new Answers({
      runtime: this.#runtime,
      peers: this.#peers,
      activity: this.#activity,
      downstream: this.#downstream,
      router: this.#router,
      room: this.#room,
      reporter: this.#reporter,
      flush: this.#flush,
      limit: this.#limit,
      tree: new Tree(this.#runtime, this.#connections, this.#downstream, this.#router),
      sendIfMuch: () => this.#sendIfMuch(),
    });
  }

  #newCommands(limits: Limits): Commands {
    return new Commands({
      limits,
      runtime: this.#runtime,
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
        this.#router.renumberHere(this.#runtime.name, position, count);
      },
      due: () => this.#flush.soon(),
      lost: () => void this.#alarm.goOffBy(this.#downstream.retellAt),
      counted: (counters) => this.#reporter.takeOver(counters),
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
    if (connection) this.#keep(this.#inbox.receive(connection, frame));
    this.#sendIfMuch();
  }

  closed(socket: Socket): void {
    this.#event(FRESH);
    this.#lifecycle.socketClosed(socket);
    this.#room.tellParent("sockets");
  }

  /**
   * The alarm has gone off: goes on with what an earlier life of this object, or an unreachable other one,
   * left unfinished, and closes the connections whose grants have ended.
   */
  alarmed(): void {
    this.#peers.arrived(FRESH);
    this.#closeEnded();
    this.#alarm.expireAt(firstExpiry(this.#connections));
    // What is not done now, or by a life that crashes before it is, is done when it goes off again.
    this.#obligations.set();
    const joined = this.#obligations.askAll();
    this.#downstream.expire(this.#router.isCounted);
    if (this.#downstream.isBusy) {
      this.#alarm.mark();
      this.#flush.soon();
    }
    this.#downstream.retell();
    this.#router.retry();
    // Often there is nothing to do: it is not set back each time that nothing is unfinished any more.
    if (joined || this.#downstream.keepsHistory || this.#runtime.alarmTime() !== undefined) {
      this.#activity.note();
    }
  }

  /** An event has come that is so many hops deep. */
  #event(hop: number): void {
    this.#peers.arrived(hop);
    this.#activity.note();
    this.#pace.begin();
    this.#closeEnded();
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
    return this.#peers.answer(hop, () => {
      this.#closeEnded();
      return carryOut(this.#answers, kind, ask);
    });
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

  /** Closes the connections whose grants have ended: the alarm may be late, and storage may not have taken it. */
  #closeEnded(): void {
    if (this.#tokens.closeExpired()) this.#activity.note();
  }

  /** Something has to be delivered: that this is over is to be written, however long it takes. */
  #busy(): void {
    this.#alarm.mark();
    this.#activity.settleLater();
  }

  /** The last connection has gone. */
  #emptied(): void {
    this.#alarm.expireAt(Number.POSITIVE_INFINITY);
    this.#reporter.emptied();
  }

  /** Commands that have to wait may be carried out long after their event: what they change is settled then, too. */
  #keep(work: Promise<void> | undefined): void {
    if (work) this.#runtime.keep(work.finally(() => this.#activity.settleLater()));
  }

  // --- what is done after an event

  /** Sends what has been gathered, and closes who does not take it: nobody else is to wait or pay for that. */
  #send(): boolean {
    const isAll = this.#drain.flush();
    this.#downstream.flush();
    return isAll;
  }

  /** Flushes early if much is gathered. Sending it takes time, which slows a flood down. */
  #sendIfMuch(): void {
    if (this.#connections.shouldFlush) this.#drain.flush();
  }

  /** Between two steps of a connection. */
  #between(connection: Connection, work: number, needsRoom: boolean): Promise<void> | undefined {
    if (this.#tokens.hasExpired(connection)) this.#closeEnded();
    this.#sendIfMuch();
    return this.#pace.after(work, needsRoom);
  }

  #passed(milliseconds: number): boolean {
    this.#counters.note("awake", milliseconds);
    this.#reporter.save();
    const isAwaited = this.#router.loseLate();
    return this.#lifecycle.closeUnread() || isAwaited;
  }

  #settle(): void {
    // Before it is written for when the alarm is set.
    const dueAt = this.#obligations.set();
    if (!this.#downstream.settle(this.#router.isCounted)) {
      this.#downstream.flush();
      this.#activity.note();
    }
    this.#router.settle();
    // By now it is known what has been written.
    this.#reporter.settle();
    // The alarm goes with it.
    if (!Number.isFinite(dueAt)) this.#runtime.store.release();
    // Nothing else would keep this object in memory until it is written.
    this.#runtime.keep(this.#runtime.store.sync());
  }
}

function carryOut<Kind extends keyof Calls>(answering: Answering, kind: Kind, ask: Calls[Kind]["ask"]) {
  return answering[kind](ask);
}
