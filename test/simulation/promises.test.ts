import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { parseReason } from "../../src/protocol/errors.ts";
import { checkAlive, checkCount, checkLeftovers, checkTogether } from "./checks.ts";
import { Breach, isBusy, isTooLate, RARITIES, type Rarity, type SimulatedClient } from "./client.ts";
import type { Action } from "./network.ts";
import { type Kind, Simulation } from "./simulation.ts";

/** `RUNS=20` has each property tried so many times as often. */
const TIMES = Number(process.env.RUNS ?? 1);
/** `SEED=… REPLAY=…` has one failure happen again: the seed and the path that it printed. */
const replay = process.env.REPLAY && {
  seed: Number(process.env.SEED),
  path: process.env.REPLAY,
  endOnFailure: true,
};

const CHANNELS = ["all", "a", "b", "c"];
/** Where clients connect; to `c` they only subscribe. */
const HOMES = ["all", "a", "b"];
/** Most clients at one time: enough for every object to have some, few enough to meet often. */
const MOST_CLIENTS = 8;

const calm: Kind = {
  withFaults: false,
  clientLimit: 0,
  withTokens: false,
  withTinyBuffers: false,
  withLateReaders: false,
  withHistory: false,
  isStrict: false,
  withFullStorage: false,
};

/** What has been met in all runs. */
const met = new Set<Rarity>();

/** What clients might do next. Repeated entries are likelier. */
function wishes(simulation: Simulation): Action[] {
  const open = simulation.clients.filter((client) => client.open);
  // Where little may wait, that is half of it.
  const many = simulation.kind.withTinyBuffers ? 8 : 2;
  const connects = HOMES.map((home) => ({
    label: `someone connects to ${home}`,
    happen: () => void simulation.connect(home),
  }));
  const away = simulation.clients.filter((client) => isAway(simulation, client));
  const returns = away.map((client) => ({
    label: `${client.name} comes back`,
    happen: () => simulation.comeBack(client),
  }));
  const posts = CHANNELS.flatMap((channel) => [
    { label: `a post to ${channel}`, happen: () => simulation.post(channel, 1, false) },
    { label: `a post of ${many} to ${channel}, twice`, happen: () => simulation.post(channel, many, true) },
  ]);
  return [
    ...posts,
    ...(simulation.kind.withTokens ? rotations(simulation) : []),
    ...(open.length < MOST_CLIENTS ? [...connects, ...returns, ...returns] : []),
    ...open.flatMap((client) => [
      ...CHANNELS.flatMap((channel) => wordsAbout(client, channel, many)),
      { label: `${client.name} leaves`, happen: () => simulation.disconnect(client) },
      ...(simulation.kind.withTokens ? renewals(simulation, client) : []),
      ...(simulation.areCounting ? wordsOfPositions(simulation, client) : []),
    ]),
  ];
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

/** Whether a client has gone, and could go on where it was. */
function isAway({ returned }: Simulation, client: SimulatedClient): boolean {
  return !client.open && !returned.has(client) && client.counting.size + client.paused.size > 0;
}

function wordsOfPositions(simulation: Simulation, client: SimulatedClient): Action[] {
  const who = `${client.name} at ${client.home}`;
  const once = simulation.clients.flatMap(({ announced }) =>
    [...announced].filter(([message]) => message.includes("-once")),
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
    ...(client.waits ? [] : [...client.paused]).map(([channel, { position }]) => ({
      label: `${who}: subscribe ${channel} since ${position}`,
      happen: () => client.subscribe(channel, { since: position }),
    })),
    ...(simulation.forgetsKeys ? [] : once).map(([message, { channel }]) => ({
      label: `${who}: once more ${message}`,
      happen: () => client.announceAgain(channel, message),
    })),
  ];
}

function renewals(simulation: Simulation, client: SimulatedClient): Action[] {
  return [
    { label: `${client.name} renews`, happen: () => client.renew(simulation.token()) },
    { label: `${client.name} hands in what is no token`, happen: () => client.renew("forged") },
  ];
}

function rotations({ secrets }: Simulation): Action[] {
  return [
    { label: "the secret is rotated", happen: () => secrets.rotate(true) },
    { label: "the secret is rotated, and the one before is forgotten", happen: () => secrets.rotate(false) },
  ];
}

/** Begins with clients in trees that have grown already. */
async function settleIn(simulation: Simulation): Promise<void> {
  const clients = [...HOMES, ...HOMES].map((home) => simulation.connect(home));
  await simulation.quiesce();
  for (const [i, client] of clients.entries()) client.subscribe(CHANNELS[i % CHANNELS.length] ?? "");
  await simulation.quiesce();
}

/** Comes to rest, has every channel used once more, and comes to rest again: nothing may be left over. */
async function useEverything(simulation: Simulation): Promise<void> {
  await simulation.quiesce();
  // Else some may not know the secret of today, and let nobody in.
  if (simulation.kind.withTokens) simulation.wakeAnew();
  simulation.noteWhoHearsEveryone();
  for (const home of CHANNELS) {
    const open = simulation.clients.filter((client) => client.open);
    // Room for one more, where it is limited.
    if (simulation.kind.clientLimit > 0 && open[0]) simulation.disconnect(open[0]);
    await simulation.quiesce();
    const client = simulation.connect(home);
    await simulation.quiesce();
    // One after another: where little may wait, that is less than this.
    for (const channel of CHANNELS) {
      client.announce(channel);
      await simulation.quiesce();
    }
  }
}

/**
 * Plays a service out as the choices say, and checks all that can be checked of any. What is opened after
 * the last fault has to stay: that shows while its consequences still come in.
 */
async function play(choices: number[], kind: Kind): Promise<void> {
  let i = 0;
  const simulation = new Simulation((among) => (choices[i++] ?? 0) % among, kind);
  try {
    if (choices.length % 2 === 0) await settleIn(simulation);
    if (kind.withFullStorage) simulation.rowsLeft = (choices[0] ?? 0) % 100;
    while (i < (choices.length * 2) / 3) await simulation.step(wishes(simulation), kind.withFaults);
    if (kind.withFaults) await simulation.crash();
    while (i < choices.length) await simulation.step(wishes(simulation), false);
    simulation.rowsLeft = Number.POSITIVE_INFINITY;
    await useEverything(simulation);
    checkTogether(simulation);
    if (!kind.withFullStorage) checkLeftovers(simulation);
    checkAlive(simulation);
    if (kind.clientLimit > 0) await checkCount(simulation);
    for (const client of simulation.clients) checkEnding(client, kind);
    for (const rarity of simulation.met) met.add(rarity);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
  }
}

/** A client that neither left nor lost its object was closed with a reason, and only for one that there is. */
function checkEnding({ name, ending }: SimulatedClient, kind: Kind): void {
  if (!ending || ending.code === 1005) return;
  const { code, reason } = ending;
  if (kind.withFaults && code === 1006) return;
  const fault = parseReason(reason)?.code;
  if (mayLose(kind) && code === 1013 && fault === "unavailable") return;
  if (kind.clientLimit > 0 && code === 1013 && isBusy(reason)) return;
  if (kind.withTokens && code === 1008 && fault === "expired") return;
  if (kind.withLateReaders && code === 1013 && isTooLate(reason)) return;
  if (kind.withTinyBuffers && [1008, 1013].includes(code) && fault !== undefined) return;
  throw new Breach(`${name} was closed with ${code} ${reason}`);
}

/** Whether messages may be missing. */
function mayLose({ withFaults, withFullStorage }: Kind): boolean {
  return withFaults || withFullStorage;
}

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" });

/** Tries a kind of service `runs` times, with other choices each time. */
async function tryOut(runs: number, kinds: fc.Arbitrary<Kind>): Promise<void> {
  const property = fc.asyncProperty(choices, kinds, play);
  // Before the test's own limit, as a failure is worth nothing without the script that shows it.
  const limit = { interruptAfterTimeLimit: timeout - 30_000, markInterruptAsFailure: false };
  await fc.assert(property, { numRuns: runs * TIMES, ...limit, ...replay });
}

const timeout = 120_000 * TIMES;

test("links keep the promises, whatever the network and the objects do", { timeout }, async () => {
  await tryOut(3_000, fc.record({ ...constants(calm), withFaults: fc.constant(true) }));
});

test("without failures nobody is closed, whenever objects hibernate", { timeout }, async () => {
  await tryOut(1_000, fc.record(constants(calm)));
});

test("where connections are counted, the count is true in the end, and few are enough", {
  timeout,
}, async () => {
  const limits = fc.constantFrom(3, 6, 1_000);
  await tryOut(1_000, fc.record({ ...constants(calm), clientLimit: limits, withFaults: fc.boolean() }));
});

test("with tokens, connections end with theirs, and none before", { timeout }, async () => {
  await tryOut(
    500,
    fc.record({ ...constants(calm), withTokens: fc.constant(true), withFaults: fc.boolean() }),
  );
});

test("where little may wait, who is behind is cut off, and misses nothing in silence", {
  timeout,
}, async () => {
  const kinds = { ...constants(calm), withTinyBuffers: fc.constant(true), withFaults: fc.boolean() };
  await tryOut(1_500, fc.record(kinds));
});

test("where clients read late, what waits for them has a bound, and nobody misses any in silence", {
  timeout,
}, async () => {
  const kinds = { ...constants(calm), withLateReaders: fc.constant(true), withFaults: fc.boolean() };
  await tryOut(1_000, fc.record(kinds));
});

test("when storage takes no more rows, messages flow on, and nobody misses any in silence", {
  timeout,
}, async () => {
  await tryOut(1_500, fc.record({ ...constants(calm), withFullStorage: fc.constant(true) }));
});

/** What a kind says, on a platform that is strict or not. */
function constants(kind: Kind) {
  return {
    withFaults: fc.constant(kind.withFaults),
    clientLimit: fc.constant(kind.clientLimit),
    withTokens: fc.constant(kind.withTokens),
    withTinyBuffers: fc.constant(kind.withTinyBuffers),
    withLateReaders: fc.constant(kind.withLateReaders),
    withHistory: fc.boolean(),
    isStrict: fc.boolean(),
    withFullStorage: fc.constant(kind.withFullStorage),
  };
}

afterAll(() => {
  // Else the runs have become too short, or too tame, for what they are there for.
  if (!replay) expect([...met].sort()).toEqual([...RARITIES].sort());
});
