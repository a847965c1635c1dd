/** What clients and Workers may do next. Repeated entries are likelier. */

import type { Action } from "./network.ts";
import { post } from "./posts.ts";
import type { SimulatedClient } from "./sim-client.ts";
import type { Simulation } from "./simulation.ts";

export const CHANNELS = ["all", "a", "b", "c"];
/** Where clients connect; to `c` they only subscribe. */
export const HOMES = ["all", "a", "b"];
/** Most clients at one time: enough for every object to have some, few enough to meet often. */
const MOST_CLIENTS = 8;

export function wishes(simulation: Simulation): Action[] {
  const { kind } = simulation;
  const open = simulation.clients.filter((client) => client.open);
  // Where little may wait, that is half of it.
  const many = kind.withTinyBuffers ? 8 : 2;
  const posts = CHANNELS.flatMap((channel) => [
    { label: `a post to ${channel}`, happen: () => post(simulation, channel, 1, false) },
    { label: `a post of ${many} to ${channel}, twice`, happen: () => post(simulation, channel, many, true) },
  ]);
  return [
    ...posts,
    ...(kind.withTokens ? rotations(simulation) : []),
    ...(open.length < MOST_CLIENTS ? arrivals(simulation) : []),
    ...open.flatMap((client) => [
      ...CHANNELS.flatMap((channel) => wordsAbout(client, channel, many)),
      { label: `${client.name} leaves`, happen: () => simulation.disconnect(client) },
      ...(kind.withTokens ? renewals(simulation, client) : []),
      ...(kind.withHistory ? wordsOfPositions(simulation, client) : []),
    ]),
  ];
}

function arrivals(simulation: Simulation): Action[] {
  const connects = HOMES.map((home) => ({
    label: `someone connects to ${home}`,
    happen: () => void simulation.connect(home),
  }));
  const away = simulation.clients.filter((client) => isAway(simulation, client));
  const returns = away.map((client) => ({
    label: `${client.name} comes back`,
    happen: () => simulation.comeBack(client),
  }));
  return [...connects, ...returns, ...returns];
}

/** Whether a client has gone, and could go on where it was. */
function isAway({ returned }: Simulation, client: SimulatedClient): boolean {
  const { counting, paused } = client.reading;
  return !client.open && !returned.has(client) && counting.size + paused.size > 0;
}

function wordsAbout(client: SimulatedClient, channel: string, many: number): Action[] {
  const who = `${client.name} at ${client.home}`;
  return [
    { label: `${who}: subscribe ${channel}`, happen: () => client.subscribe(channel) },
    { label: `${who}: unsubscribe ${channel}`, happen: () => client.unsubscribe(channel) },
    { label: `${who}: announce ${channel}`, happen: () => client.announce(channel) },
    { label: `${who}: announce ${channel} ${many} times`, happen: () => client.announce(channel, many) },
  ];
}

function wordsOfPositions({ ledger }: Simulation, client: SimulatedClient): Action[] {
  const who = `${client.name} at ${client.home}`;
  const once = [...ledger.announced].filter(
    // A Worker's messages share a key.
    ([message, announcement]) => message.includes("-once") && ledger.isFresh(announcement),
  );
  return [
    ...CHANNELS.filter((channel) => client.isNewTo(channel)).map((channel) => ({
      label: `${who}: subscribe ${channel} last 2`,
      happen: () => client.subscribe(channel, { last: 2 }),
    })),
    ...CHANNELS.flatMap((channel) => [
      { label: `${who}: where is ${channel}`, happen: () => client.subscribe(channel, { since: "now" }) },
      { label: `${who}: once ${channel}`, happen: () => client.announceOnce(channel, 1) },
      { label: `${who}: once ${channel}, three`, happen: () => client.announceOnce(channel, 3) },
    ]),
    // Else it may have gone on there already, and has not read that yet.
    ...(client.waitsFor ? [] : [...client.reading.paused]).map(([channel, { position }]) => ({
      label: `${who}: subscribe ${channel} since ${position}`,
      happen: () => client.subscribe(channel, { since: position }),
    })),
    ...once.map(([message, { channel }]) => ({
      label: `${who}: once more ${message}`,
      happen: () => client.announceAgain(channel, message),
    })),
  ];
}

function rotations({ secrets }: Simulation): Action[] {
  return [
    { label: "the secret is rotated", happen: () => secrets.rotate(true) },
    { label: "the secret is rotated, and the one before is forgotten", happen: () => secrets.rotate(false) },
  ];
}

function renewals(simulation: Simulation, client: SimulatedClient): Action[] {
  return [
    { label: `${client.name} renews`, happen: () => client.renew(simulation.token()) },
    { label: `${client.name} hands in what is no token`, happen: () => client.renew("forged") },
  ];
}
