/** What only shows from outside, when a run is over. */
import { channelOf } from "../../src/links/names.ts";
import { type Announcement, Breach, type SimulatedClient } from "./client.ts";
import { isBusy, type SimulatedObject } from "./life.ts";
import { isOfEpoch, isUpstream } from "./rows.ts";
import type { Simulation } from "./simulation.ts";

/** Checks that nothing is missing, and that all read in one order. */
export function checkTogether({ clients, posted }: Simulation): void {
  const announced = new Map([...posted, ...clients.flatMap((client) => [...client.announced])]);
  for (const client of clients) {
    checkComplete(client, announced);
    checkCounted(client, announced);
  }
  const channels = new Set(clients.flatMap((client) => [...client.heard.keys()]));
  for (const channel of channels) {
    const readings = clients.map((client) => ({ name: client.name, heard: client.heard.get(channel) ?? [] }));
    readings.forEach((one, i) => {
      for (const other of readings.slice(i + 1)) checkSameOrder(channel, one, other);
    });
  }
}

function checkComplete(client: SimulatedClient, announced: Map<string, Announcement>): void {
  for (const [message, { channel, issued, placed }] of announced) {
    const since = client.subscribedSince(channel);
    if (since === undefined || since >= issued || !placed()) continue;
    if (!client.heard.get(channel)?.includes(message)) {
      throw new Breach(`${client.name} never read ${message} on ${channel}`);
    }
  }
}

/** Who counts has every message, over all connections, since it began to. */
function checkCounted(client: SimulatedClient, announced: Map<string, Announcement>): void {
  if (!client.open) return;
  for (const [message, { channel, issued, placed }] of announced) {
    const counted = client.counting.get(channel);
    if (!counted || counted.since >= issued || !placed() || counted.messages.has(message)) continue;
    throw new Breach(`${client.name} has not counted ${message} on ${channel}`);
  }
}

interface Reading {
  name: string;
  heard: string[];
}

function checkSameOrder(channel: string, one: Reading, other: Reading): void {
  const positions = new Map(other.heard.map((message, position) => [message, position]));
  let last = -1;
  for (const message of one.heard) {
    const position = positions.get(message);
    if (position === undefined) continue;
    if (position < last) {
      throw new Breach(`${one.name} and ${other.name} read ${channel} in different orders`);
    }
    last = position;
  }
}

/** Checks that nobody waits for an answer, and that everybody hears `all`. */
export function checkAlive(simulation: Simulation): void {
  for (const client of simulation.clients) {
    if (!client.open) continue;
    if (client.waits) throw new Breach(`${client.name} waits for ever`);
    if (!simulation.isLinkedToEveryone(client.home)) throw new Breach(`${client.home} does not hear 'all'`);
  }
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

/**
 * Checks that the root of `all` knows how many connections there are. A crash can leave it with a wrong
 * number until it asks the object, which it does before it refuses others for long.
 */
export async function checkCount(simulation: Simulation): Promise<void> {
  simulation.recountAll();
  await simulation.quiesce();
  const { rows } = simulation.objects.of("all");
  for (const { name, sockets } of simulation.objects) {
    const known = rows.get(`held:${name}`) ?? 0;
    const open = sockets.filter((socket) => socket.open).length;
    if (known !== open) throw new Breach(`${name} has ${open} connections, and 'all' knows of ${known}`);
  }
}
