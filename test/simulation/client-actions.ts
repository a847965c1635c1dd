/** What clients and Workers may do next. Repeated entries are likelier. */

import { presenceOf, subjectOf } from "../../src/protocol/members.ts";
import type { From } from "../../src/protocol/positions.ts";
import { listByWorker } from "./lists.ts";
import { MEMBER_CHANNELS, MEMBERS } from "./members-truth.ts";
import type { Action } from "./network.ts";
import { post } from "./posts.ts";
import type { SimulatedClient } from "./sim-client.ts";
import type { Simulation } from "./simulation.ts";

export const CHANNELS = ["all", "a", "b", "c"];
/** The channels that clients connect to; they only subscribe to `c`. */
export const HOMES = ["all", "a", "b"];
/** Channels on which the server announces how members change. */
const WATCHED = MEMBER_CHANNELS.map(presenceOf);

/** All channels that clients subscribe to. */
export const SUBSCRIBED = [...CHANNELS, ...WATCHED];

/** Maximum number of clients: enough to fill every object, few enough to interact often. */
const MOST_CLIENTS = 8;

export function clientActions(simulation: Simulation): Action[] {
  const { profile } = simulation;
  const open = simulation.clients.filter((client) => client.open);
  // Tiny buffers hold about half of eight messages.
  const many = profile.withTinyBuffers ? 8 : 2;
  const posts = CHANNELS.flatMap((channel) => [
    { label: `a post to ${channel}`, happen: () => post(simulation, channel, 1, false) },
    { label: `a post of ${many} to ${channel}, twice`, happen: () => post(simulation, channel, many, true) },
  ]);
  return [
    ...posts,
    ...(profile.withTokens ? rotations(simulation) : []),
    ...(profile.withPresence && profile.withHistory
      ? MEMBER_CHANNELS.map((channel) => listing(simulation, channel))
      : []),
    ...(open.length < MOST_CLIENTS ? arrivals(simulation) : []),
    ...open.flatMap((client) => [
      ...CHANNELS.flatMap((channel) => wordsAbout(client, channel, many)),
      { label: `${client.name} leaves`, happen: () => simulation.disconnect(client) },
      ...(profile.withTokens ? renewals(simulation, client) : []),
      ...(profile.withHistory ? wordsOfPositions(simulation, client) : []),
      ...(profile.withPresence ? wordsOfPresence(simulation, client) : []),
    ]),
  ];
}

function arrivals(simulation: Simulation): Action[] {
  const connects = HOMES.map((home) => ({
    label: `a client connects to ${home}`,
    happen: () => void simulation.connect(home),
  }));
  const away = simulation.clients.filter((client) => isAway(simulation, client));
  const returns = away.map((client) => ({
    label: `${client.name} reconnects`,
    happen: () => simulation.reconnect(client),
  }));
  return [...connects, ...returns, ...returns];
}

/** What clients do to resume: they ask for positions, leave, and come back. */
export function resumptions(simulation: Simulation): Action[] {
  const { clients, profile } = simulation;
  if (!profile.withHistory) return [];
  const open = clients.filter((client) => client.open);
  const returns = open.length < MOST_CLIENTS ? arrivals(simulation).slice(HOMES.length) : [];
  return [
    ...returns,
    ...open.flatMap((client) => {
      const { counting } = client.received;
      const again = resumes(client);
      const leave = { label: `${client.name} leaves`, happen: () => simulation.disconnect(client) };
      const pauses = [...counting.keys()].map((channel) => unsubscribing(client, channel));
      const [uncounted = client.channel] = [client.channel, ...CHANNELS].filter((channel) => !counting.has(channel));
      return [
        ...readingLast(client),
        ...again,
        ...again,
        ...(counting.size > 0 ? [leave] : []),
        ...pauses,
        countingFromNow(client, uncounted),
      ];
    }),
  ];
}

/** Subscribes with the newest messages, also with more than there are. */
function readingLast(client: SimulatedClient): Action[] {
  return CHANNELS.filter((channel) => client.isNewTo(channel)).flatMap((channel) =>
    [2, 20].map((last) => ({
      label: `${client.name} at ${client.home}: subscribe ${channel} last ${last}`,
      happen: () => client.subscribe(channel, { last }),
    })),
  );
}

function resumes(client: SimulatedClient): Action[] {
  // While a reply is outstanding, the client may have resumed already without knowing.
  const paused = client.unanswered ? [] : [...client.received.paused];
  return paused.map(([channel, { position }]) => ({
    label: `${client.name} at ${client.home}: subscribe ${channel} since ${position}`,
    happen: () => client.subscribe(channel, { since: position }),
  }));
}

function countingFromNow(client: SimulatedClient, channel: string): Action {
  const happen = () => client.subscribe(channel, { since: "now" });
  return { label: `${client.name} at ${client.home}: subscribe ${channel} since now`, happen };
}

function unsubscribing(client: SimulatedClient, channel: string): Action {
  const happen = () => client.unsubscribe(channel);
  return { label: `${client.name} at ${client.home}: unsubscribe ${channel}`, happen };
}

/** Whether a client has disconnected and could resume. */
function isAway({ reconnected }: Simulation, client: SimulatedClient): boolean {
  const { counting, paused } = client.received;
  if (client.open || reconnected.has(client)) return false;
  const isPresent = MEMBER_CHANNELS.some((channel) => client.presences.settled(channel));
  return isPresent || counting.size + paused.size > 0;
}

function wordsOfPresence(simulation: Simulation, client: SimulatedClient): Action[] {
  const who = `${client.name} at ${client.home}`;
  const words = MEMBER_CHANNELS.flatMap((channel): Action[] => {
    const entries = ["", simulation.trace.length].flatMap((data) =>
      MEMBERS.map((member) => ({
        label: `${who}: enter ${channel} ${member} ${data}`,
        happen: () => client.enter(channel, { member, data: String(data) }),
      })),
    );
    const settled = client.presences.settled(channel);
    return [
      ...entries,
      ...entries,
      ...(settled ? [{ label: `${who}: enter ${channel} again`, happen: () => client.enter(channel, settled) }] : []),
      { label: `${who}: leave ${channel}`, happen: () => client.leave(channel) },
      { label: `${who}: members ${channel}`, happen: () => client.list(channel) },
      { label: `${who}: members ${channel}`, happen: () => client.list(channel) },
    ];
  });
  return [...words, ...words, ...WATCHED.flatMap((channel) => wordsOfWatching(simulation, client, channel))];
}

function wordsOfWatching({ profile }: Simulation, client: SimulatedClient, channel: string): Action[] {
  const who = `${client.name} at ${client.home}`;
  const froms: From[] = profile.withHistory ? [{ since: "now" }] : [];
  if (profile.withHistory && client.isNewTo(channel)) froms.push({ last: 2 });
  const place = client.watching.get(subjectOf(channel) ?? "")?.paused;
  // While a reply is outstanding, the client may have resumed already without knowing.
  const resumes: From[] = place && !client.unanswered ? [{ since: place.position }] : [];
  return [
    { label: `${who}: subscribe ${channel}`, happen: () => client.subscribe(channel) },
    { label: `${who}: unsubscribe ${channel}`, happen: () => client.unsubscribe(channel) },
    ...[...froms, ...resumes, ...resumes, ...resumes].map((from) => ({
      label: `${who}: subscribe ${channel} ${JSON.stringify(from)}`,
      happen: () => client.subscribe(channel, from),
    })),
  ];
}

function wordsAbout(client: SimulatedClient, channel: string, many: number): Action[] {
  const who = `${client.name} at ${client.home}`;
  return [
    { label: `${who}: subscribe ${channel}`, happen: () => client.subscribe(channel) },
    unsubscribing(client, channel),
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
    ...readingLast(client),
    ...CHANNELS.flatMap((channel) => [
      countingFromNow(client, channel),
      { label: `${who}: once ${channel}`, happen: () => client.announceOnce(channel, 1) },
      { label: `${who}: once ${channel} three times`, happen: () => client.announceOnce(channel, 3) },
    ]),
    ...resumes(client),
    ...once.map(([message, { channel }]) => ({
      label: `${who}: once again ${message}`,
      happen: () => client.announceAgain(channel, message),
    })),
  ];
}

function listing(simulation: Simulation, channel: string): Action {
  return { label: `a Worker asks for the members of ${channel}`, happen: () => listByWorker(simulation, channel) };
}

function rotations({ secrets }: Simulation): Action[] {
  return [
    { label: "the secret is rotated", happen: () => secrets.rotate(true) },
    { label: "the secret is rotated, and the previous one dropped", happen: () => secrets.rotate(false) },
  ];
}

function renewals(simulation: Simulation, client: SimulatedClient): Action[] {
  const renewal = { label: `${client.name} renews its token`, happen: () => client.renew(simulation.token()) };
  return [
    // Some tokens end the client's presence.
    ...Array.from({ length: simulation.profile.withPresence ? 8 : 1 }, () => renewal),
    { label: `${client.name} sends a forged token`, happen: () => client.renew("forged") },
  ];
}
