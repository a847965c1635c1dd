/**
 * Wires the parts of one object together, from the bottom up: each gets the parts that it uses, and reports to nothing
 * but the schedule. Constructors do no I/O; `start` restores state in the same order.
 */
import type { Guard } from "../auth/verify.ts";
import type { Limits } from "../runtime/limits.ts";
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
import { EventCounters } from "../stats/event-counters.ts";
import { OperatorLog } from "../stats/operator-log.ts";
import { countingRows } from "../stats/row-counting.ts";
import { Outage } from "../tree/outage.ts";
import { Peers } from "../tree/peers.ts";
import { Router } from "../tree/router.ts";
import { Topology } from "../tree/topology.ts";
import { Alarm } from "./alarm.ts";
import { CallHandlers } from "./call-handlers.ts";
import { ClientLimit } from "./client-limit.ts";
import { Reporter } from "./reporter.ts";
import { ObjectSchedule } from "./schedule.ts";
import { Upkeep } from "./upkeep.ts";

/** The parts of one object. */
export type Parts = ReturnType<typeof wire>;

/**
 * Builds the parts.
 * @param guard undefined on a server without tokens
 */
export function wire(raw: RawRuntime, sockets: Sockets, limits: Limits, guard: Guard | undefined) {
  // Counting, calling and scheduling.
  const events = new EventCounters(new OperatorLog(raw));
  const counting = countingRows(raw, events);
  const alarm = new Alarm(counting);
  const peers = new Peers(counting, alarm, events);
  const runtime: Runtime = { ...counting, call: (...call) => peers.call(...call) };
  const schedule = new ObjectSchedule(runtime, alarm);
  // Connections, and the way of messages to and from other objects.
  const connections = new Connections(sockets, limits, runtime.now, schedule);
  const counters = new Counters(runtime, connections, events);
  const outage = new Outage(runtime, connections, schedule);
  const router = new Router({ runtime, limits, connections, counters, schedule, outage });
  const { clientLimit: maxClients } = limits;
  const clientLimit = maxClients > 0 ? new ClientLimit(runtime, maxClients, counters, outage) : undefined;
  const reporter = new Reporter({ runtime, peers, connections, router, counters, clientLimit: maxClients });
  // What clients send, and what they are sent.
  const lifecycle = new Lifecycle({ runtime, connections, router, counters, clientLimit, reporter });
  const tokens = new Tokens(runtime, connections, alarm, guard, lifecycle);
  const pace = new Pace(runtime, limits.maxWork, schedule, connections);
  const session = { runtime, limits, connections, counters, router, lifecycle, tokens, pace, schedule };
  const drain = new Drain(session);
  const commands = new Commands({ ...session, drain, reporter });
  const inbox = new Inbox(commands, limits, runtime.now);
  // What other objects and time ask for.
  const topology = new Topology(runtime, connections, router);
  const handlers = new CallHandlers({ peers, schedule, router, drain, reporter, topology, clientLimit });
  const upkeep = new Upkeep({ ...session, alarm, peers, reporter, outage, clientLimit });
  return { ...session, peers, outage, clientLimit, reporter, drain, commands, inbox, handlers, upkeep };
}

/** Restores the state in storage and in attachments. */
export function start(parts: Parts): void {
  const { schedule, connections, tokens, counters, outage, router, clientLimit, reporter } = parts;
  schedule.start(parts.upkeep, parts.drain);
  connections.start();
  tokens.start();
  counters.start();
  outage.start();
  router.start(parts.lifecycle);
  clientLimit?.start(connections.size);
  reporter.start();
}
