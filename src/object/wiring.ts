/** Wires the parts of one object together, from the bottom up, and restores their state in the same order. */
import type { Guard } from "../auth/verify.ts";
import { Authority } from "../presence/authority.ts";
import { Presence } from "../presence/presence.ts";
import { subjectOf } from "../protocol/members.ts";
import type { Handlers } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import { parentOf } from "../runtime/object-names.ts";
import type { RawRuntime, Runtime } from "../runtime/runtime.ts";
import { Commands } from "../session/commands.ts";
import { Connections } from "../session/connections.ts";
import { Drain } from "../session/drain.ts";
import { Inbox } from "../session/inbox.ts";
import { Lifecycle } from "../session/lifecycle.ts";
import { Pace } from "../session/pace.ts";
import type { Sockets } from "../session/socket.ts";
import { Tokens } from "../session/tokens.ts";
import { Counters } from "../stats/counters.ts";
import { operatorLog } from "../stats/operator-log.ts";
import { countingRows } from "../stats/row-counting.ts";
import { Outage } from "../tree/outage.ts";
import { Peers } from "../tree/peers.ts";
import { Router } from "../tree/router.ts";
import { Alarm } from "./alarm.ts";
import { handlersOf } from "./call-handlers.ts";
import { ClientLimit } from "./client-limit.ts";
import { Reporter } from "./reporter.ts";
import { ObjectSchedule } from "./schedule.ts";
import { Upkeep } from "./upkeep.ts";

/**
 * The parts of one object. Most parts get all of them, and use those above themselves only after all exist: constructors
 * do no I/O.
 */
export class Parts {
  readonly limits: Limits;
  readonly guard: Guard | undefined;
  readonly runtime: Runtime;
  readonly alarm: Alarm;
  readonly peers: Peers;
  readonly schedule: ObjectSchedule;
  readonly connections: Connections;
  readonly counters: Counters;
  readonly outage: Outage;
  readonly router: Router;
  /** Undefined if the number of connections is unlimited. */
  readonly clientLimit: ClientLimit | undefined;
  readonly reporter: Reporter;
  /** Only at the root of a presence channel. */
  readonly authority: Authority | undefined;
  readonly presence: Presence;
  readonly lifecycle = new Lifecycle(this);
  readonly tokens = new Tokens(this);
  readonly pace = new Pace(this);
  readonly drain = new Drain(this);
  readonly commands = new Commands(this);
  readonly upkeep = new Upkeep(this);
  readonly inbox: Inbox;
  readonly handlers: Handlers;

  /** @param guard undefined on a server without tokens */
  constructor(raw: RawRuntime, sockets: Sockets, limits: Limits, guard: Guard | undefined) {
    this.limits = limits;
    this.guard = guard;
    this.counters = new Counters(this, operatorLog(raw));
    const note = this.counters.note.bind(this.counters);
    const counting = countingRows(raw, note);
    this.alarm = new Alarm(counting);
    this.peers = new Peers(counting, this.alarm, note);
    this.runtime = { ...counting, call: (...call) => this.peers.call(...call) };
    this.schedule = new ObjectSchedule(this);
    this.connections = new Connections(sockets, limits, raw.now, this.schedule);
    this.outage = new Outage(this);
    this.router = new Router(this);
    if (limits.clientLimit > 0) this.clientLimit = new ClientLimit(this);
    this.reporter = new Reporter(this);
    if (subjectOf(raw.name) !== undefined && parentOf(raw.name) === undefined) this.authority = new Authority(this);
    this.presence = new Presence(this);
    this.inbox = new Inbox(this.commands, limits, raw.now);
    this.handlers = handlersOf(this);
  }

  /** Restores the state in storage and in attachments. */
  start(): void {
    this.connections.start();
    this.tokens.start();
    this.counters.start();
    this.outage.start();
    this.router.start();
    this.clientLimit?.start(this.connections.size);
    this.reporter.start();
    this.authority?.start();
    this.presence.start();
  }
}
