/** What only shows from outside, when a run is over. */
import { channelOf } from "../../src/runtime/object-names.ts";
import { Breach } from "./breach.ts";
import { isBusy, properties, type SimulatedObject } from "./life.ts";
import type { Objects } from "./objects.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import type { SimulatedClient } from "./sim-client.ts";
import type { Simulation } from "./simulation.ts";
import { CHANNELS } from "./wishes.ts";

/** Checks that nothing is missing, and that all read in one order. */
export function checkTogether(simulation: Simulation): void {
  const { clients, mayLose } = simulation;
  for (const client of mayLose ? [] : clients) {
    checkComplete(simulation, client);
    checkCounted(simulation, client);
  }
  const channels = new Set(clients.flatMap(({ reading }) => [...reading.heard.keys()]));
  for (const channel of channels) {
    const readings = clients.map(({ name, reading }) => ({ name, heard: reading.heard.get(channel) ?? [] }));
    readings.forEach((one, i) => {
      for (const other of readings.slice(i + 1)) checkSameOrder(simulation, channel, one, other);
    });
  }
}

function checkComplete({ ledger }: Simulation, client: SimulatedClient): void {
  for (const [message, { channel, issued, placed }] of ledger.announced) {
    const since = client.subscribedSince(channel);
    if (since === undefined || since >= issued || placed() === undefined) continue;
    if (!client.reading.heard.get(channel)?.includes(message)) {
      throw new Breach(`${client.name} never read ${message} on ${channel}`);
    }
  }
}

/** A client that counts has every message, over all connections, since it began to. */
function checkCounted({ ledger }: Simulation, client: SimulatedClient): void {
  if (!client.open) return;
  for (const [message, { channel, issued, placed }] of ledger.announced) {
    const counted = client.reading.counting.get(channel);
    if (!counted || counted.since >= issued || placed() === undefined || counted.messages.has(message))
      continue;
    throw new Breach(`${client.name} has not counted ${message} on ${channel}`);
  }
}

interface HeardBy {
  name: string;
  heard: string[];
}

function checkSameOrder({ ledger }: Simulation, channel: string, one: HeardBy, other: HeardBy): void {
  const positions = new Map(other.heard.map((message, position) => [message, position]));
  let last = -1;
  for (const message of one.heard) {
    const position = positions.get(message);
    // Announced again after its key was forgotten, it may come twice.
    if (position === undefined || ledger.mayRepeat(message)) continue;
    if (position < last) {
      throw new Breach(`${one.name} and ${other.name} read ${channel} in different orders`);
    }
    last = position;
  }
}

/** Checks that no client waits for an answer, and that each hears `all`. */
export function checkAlive(simulation: Simulation): void {
  for (const client of simulation.clients) {
    if (!client.open) continue;
    const { name, waitsFor } = client;
    if (waitsFor !== undefined) throw new Breach(`${name} waits for ever for: ${waitsFor}`);
    if (!simulation.isLinkedToEveryone(client.home)) throw new Breach(`${client.home} does not hear 'all'`);
  }
}

/** Checks that what is announced on a channel would reach each of its subscribers. */
export function checkLinks(simulation: Simulation): void {
  for (const client of simulation.clients) {
    for (const channel of CHANNELS) {
      if (client.subscribedSince(channel) === undefined) continue;
      if (!isReached(simulation.objects, client.home, channel)) {
        throw new Breach(`${client.name} at ${client.home} is subscribed to ${channel}, and deaf to it`);
      }
    }
  }
}

/** Whether an object is linked to a channel's root, by whichever others, and none of the links is lost. */
function isReached(objects: Objects, object: string, channel: string): boolean {
  if (object === channel) return true;
  const row = objects.of(object).rows.get(`upstream:${channel}`);
  if (!isUpstream(row) || row.left !== undefined) return false;
  const link = objects.of(row.parent).rows.get(`downstream:${object}`);
  if (!isOfEpoch(link, row.epoch) || properties(link).lostAt !== undefined) return false;
  return isReached(objects, row.parent, channel);
}

/** Checks that both ends of every link agree, and that each is there for a listener. */
export function checkLeftovers(simulation: Simulation): void {
  for (const object of simulation.objects) {
    for (const [key, row] of object.rows) {
      const [kind, name = ""] = key.split(":");
      if (kind === "downstream") checkDownstream(simulation, object, name, row);
      // What a crash left in an object that nobody has used since is found when somebody does.
      if (kind === "upstream" && object.life) checkUpstream(simulation, object, name, row);
    }
    if (isBusy(object)) throw new Breach(`${object.name} never came to rest`);
  }
}

function checkDownstream(simulation: Simulation, { name: from }: SimulatedObject, to: string, row: unknown) {
  const other = simulation.objects.of(to).rows.get(`upstream:${channelOf(from)}`);
  if (!isUpstream(other) || other.parent !== from || !isOfEpoch(row, other.epoch)) {
    throw new Breach(`${from} keeps a link to ${to} that ${to} does not`);
  }
}

function checkUpstream(simulation: Simulation, object: SimulatedObject, channel: string, row: unknown) {
  if (!isUpstream(row)) throw new Breach(`${object.name} has a row of another kind: ${JSON.stringify(row)}`);
  // The alarm goes off for one that has ended, and whose parent could not be told.
  if (row.left !== undefined) return;
  if (!isOfEpoch(simulation.objects.of(row.parent).rows.get(`downstream:${object.name}`), row.epoch)) {
    throw new Breach(`${object.name} counts on a link to ${row.parent} that ${row.parent} does not keep`);
  }
  if (!isHeard(simulation, object, channel))
    throw new Breach(`${object.name} is linked to ${channel} for nobody`);
}

function isHeard({ clients }: Simulation, object: SimulatedObject, channel: string): boolean {
  const feeds = [...object.rows.keys()].some((key) => key.startsWith("downstream:"));
  if (feeds && channelOf(object.name) === channel) return true;
  const here = clients.filter((client) => client.open && client.home === object.name);
  return channel === "all" ? here.length > 0 : here.some((client) => client.subscribedSince(channel));
}

/** Checks that the root of `all` knows how many connections each object has that has any. */
export function checkCount({ objects, kind }: Simulation): void {
  const { rows } = objects.of("all");
  for (const { name, sockets } of objects) {
    const known = rows.get(`held:${name}`) ?? 0;
    const open = sockets.filter((socket) => socket.open).length;
    // An object that crashed, and that nobody has used since, has not told that its connections are gone.
    if (open === 0 && kind.endsInSilence) continue;
    if (known !== open) throw new Breach(`${name} has ${open} connections, and 'all' knows of ${known}`);
  }
}
