/** Checks at the end of a run, of what shows only from outside. */
import { presenceOf, subjectOf } from "../../src/protocol/members.ts";
import { channelOf } from "../../src/runtime/object-names.ts";
import { SUBSCRIBED } from "./client-actions.ts";
import type { Histories } from "./histories.ts";
import { isBusy, properties, type SimulatedObject } from "./object.ts";
import type { Objects } from "./objects.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import type { SimulatedClient } from "./sim-client.ts";
import type { Simulation } from "./simulation.ts";
import { Violation } from "./violation.ts";

/** Checks that no client misses a message, and that all received one order. */
export function checkAgreement(simulation: Simulation): void {
  const { clients } = simulation;
  for (const client of clients) {
    checkComplete(simulation, client);
    checkCounted(simulation, client);
  }
  const channels = new Set(clients.flatMap(({ received }) => [...received.messages.keys()]));
  for (const channel of channels) {
    const recordings = clients.map(({ name, received }) => ({
      name,
      messages: received.messages.get(channel) ?? [],
    }));
    recordings.forEach((one, i) => {
      for (const other of recordings.slice(i + 1)) checkSameOrder(simulation, channel, one, other);
    });
  }
}

function checkComplete(simulation: Simulation, client: SimulatedClient): void {
  for (const [message, { channel, issued, placed }] of simulation.ledger.announced) {
    const since = client.subscribedSince(channel);
    if (since === undefined || since >= issued || placed() === undefined || simulation.mayLose(channel)) continue;
    if (!client.received.messages.get(channel)?.includes(message)) {
      throw new Violation(`${client.name} never received ${message} on ${channel}`);
    }
  }
}

/** Checks that a client that counts a channel has received every message since, over all its connections. */
function checkCounted(simulation: Simulation, client: SimulatedClient): void {
  if (!client.open) return;
  for (const [message, { channel, issued, placed }] of simulation.ledger.announced) {
    const counted = client.received.counting.get(channel);
    if (
      !counted ||
      simulation.mayLose(channel) ||
      counted.since >= issued ||
      placed() === undefined ||
      counted.messages.has(message)
    )
      continue;
    throw new Violation(`${client.name} has not counted ${message} on ${channel}`);
  }
  checkNewest(simulation.histories, client);
}

/** Checks that a client that counts is where each channel ends. */
function checkNewest(histories: Histories, { name, received, watching }: SimulatedClient): void {
  const watched = [...watching].map(([channel, { counting }]) => [presenceOf(channel), counting] as const);
  for (const [channel, counted] of [...received.counting, ...watched]) {
    const newest = histories.newest(channel) ?? counted?.position;
    if (!counted || histories.isRefused(channel) || counted.position === newest) continue;
    throw new Violation(`${name} is at ${counted.position} of ${channel}, which ends at ${newest}`);
  }
}

interface ReceivedBy {
  name: string;
  messages: string[];
}

function checkSameOrder({ ledger }: Simulation, channel: string, one: ReceivedBy, other: ReceivedBy): void {
  const positions = new Map(other.messages.map((message, position) => [message, position]));
  let last = -1;
  for (const message of one.messages) {
    const position = positions.get(message);
    // A message announced again after its key expired may come twice.
    if (position === undefined || ledger.mayRepeat(message)) continue;
    if (position < last) {
      throw new Violation(`${one.name} and ${other.name} received ${channel} in different orders`);
    }
    last = position;
  }
}

/** Checks that no client is still waiting for a reply, and that every object is linked to `all`. */
export function checkAlive(simulation: Simulation): void {
  for (const client of simulation.clients) {
    if (!client.open) continue;
    const { name, unanswered } = client;
    if (unanswered !== undefined) throw new Violation(`${name} never got a reply to: ${unanswered}`);
    if (!simulation.isLinkedToAll(client.home)) throw new Violation(`${client.home} isn't linked to 'all'`);
  }
}

/** Checks that an announcement on a channel would reach each of its subscribers. */
export function checkLinks(simulation: Simulation): void {
  for (const client of simulation.clients) {
    for (const channel of SUBSCRIBED) {
      if (client.subscribedSince(channel) === undefined) continue;
      if (!isReached(simulation.objects, client.home, channel)) {
        throw new Violation(`${client.name} at ${client.home} is subscribed to ${channel}, but not linked to it`);
      }
    }
  }
}

/** Whether intact links lead from an object up to a channel's root. */
function isReached(objects: Objects, object: string, channel: string): boolean {
  if (object === channel) return true;
  const row = objects.of(object).rows.get(`upstream:${channel}`);
  if (!isUpstream(row) || row.left !== undefined) return false;
  const link = objects.of(row.parent).rows.get(`downstream:${object}`);
  if (!isOfEpoch(link, row.epoch) || properties(link).lostAt !== undefined) return false;
  return isReached(objects, row.parent, channel);
}

/** Checks that no object in memory has a link that it doesn't need. */
export function checkUnneeded(simulation: Simulation): void {
  for (const object of simulation.objects) {
    for (const [key, row] of object.rows) {
      const [kind, channel = ""] = key.split(":");
      if (kind === "upstream" && object.incarnation && isUpstream(row) && row.left === undefined) {
        checkNeeded(simulation, object, channel);
      }
    }
  }
}

/** Checks that both ends of every link agree, and that each link has a subscriber. */
export function checkLeftovers(simulation: Simulation): void {
  for (const object of simulation.objects) {
    for (const [key, row] of object.rows) {
      const [kind, name = ""] = key.split(":");
      if (kind === "downstream") checkDownstream(simulation, object, name, row);
      // What a crash left in an object that hasn't been used since is cleaned up on its next use.
      if (kind === "upstream" && object.incarnation) checkUpstream(simulation, object, name, row);
    }
    if (isBusy(object)) throw new Violation(`${object.name} is still busy`);
  }
}

function checkDownstream(simulation: Simulation, { name: from }: SimulatedObject, to: string, row: unknown) {
  const subject = subjectOf(channelOf(from));
  // A parent notices that a link is gone when it delivers something.
  if (subject !== undefined && !simulation.members.log(subject).isUsed) return;
  const other = simulation.objects.of(to).rows.get(`upstream:${channelOf(from)}`);
  if (!isUpstream(other) || other.parent !== from || !isOfEpoch(row, other.epoch)) {
    throw new Violation(`${from} holds a link to ${to} that ${to} doesn't`);
  }
}

function checkUpstream(simulation: Simulation, object: SimulatedObject, channel: string, row: unknown) {
  if (!isUpstream(row)) throw new Violation(`${object.name} has a row of another kind: ${JSON.stringify(row)}`);
  // The parent couldn't be told that this link ended; an alarm retries that.
  if (row.left !== undefined) return;
  if (!isOfEpoch(simulation.objects.of(row.parent).rows.get(`downstream:${object.name}`), row.epoch)) {
    throw new Violation(`${object.name} relies on a link to ${row.parent} that ${row.parent} doesn't hold`);
  }
  checkNeeded(simulation, object, channel);
}

function checkNeeded(simulation: Simulation, object: SimulatedObject, channel: string): void {
  if (hasSubscriber(simulation, object, channel)) return;
  throw new Violation(`${object.name} is linked to ${channel} without any subscriber`);
}

function hasSubscriber({ clients }: Simulation, object: SimulatedObject, channel: string): boolean {
  const feeds = [...object.rows.keys()].some((key) => key.startsWith("downstream:"));
  if (feeds && channelOf(object.name) === channel) return true;
  const here = clients.filter((client) => client.open && client.home === object.name);
  return channel === "all" ? here.length > 0 : here.some((client) => client.subscribedSince(channel));
}

/** Checks that the root of `all` knows the number of connections of each object. */
export function checkCount({ objects, profile }: Simulation): void {
  const { rows } = objects.of("all");
  for (const { name, sockets } of objects) {
    const known = rows.get(`held:${name}`) ?? 0;
    const open = sockets.filter((socket) => socket.open).length;
    // An object that crashed and hasn't been used since has not reported that its connections are gone.
    if (open === 0 && profile.endsInSilence) continue;
    // One of the rare exceptions.
    if (objects.hasStaleClaim(name)) continue;
    if (known !== open) throw new Violation(`${name} has ${open} connections, but 'all' counts ${known}`);
  }
}
