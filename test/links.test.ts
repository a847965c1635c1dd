import fc from "fast-check";
import { test } from "vitest";
import { Breach, checkTogether, type SimulatedClient } from "./simulated-client.ts";
import { Simulation } from "./simulation.ts";

/** `RUNS=20` has each property tried so many times as often. */
const TIMES = Number(process.env.RUNS ?? 1);
/** `SEED=… REPLAY=…` has one failure happen again: the seed and the path that it printed. */
const replay = process.env.REPLAY && { seed: Number(process.env.SEED), path: process.env.REPLAY };
const howOften = (runs: number) => ({
  ...replay,
  endOnFailure: process.env.REPLAY !== undefined,
  numRuns: runs * TIMES,
  interruptAfterTimeLimit: 25_000 * TIMES,
  markInterruptAsFailure: false,
});

const HOMES = ["all", "a", "b"];
const CHANNELS = ["all", "a", "b", "c"];
/** Most clients at one time: enough for every object to have some, few enough to meet often. */
const MOST_CLIENTS = 8;

/** What clients might do next. Repeated entries are likelier. */
function wishes(simulation: Simulation) {
  const open = simulation.clients.filter((client) => client.open);
  const connects = HOMES.map((home) => ({
    label: `someone connects to ${home}`,
    happen: () => void simulation.connect(home),
  }));
  const words = open.flatMap((client) => {
    const say = (verb: "subscribe" | "unsubscribe" | "announce", channel: string, count = 1) => ({
      label: `${client.name} at ${client.home}: ${verb} ${channel} ${count}`,
      happen: () => client.say(verb, channel, count),
    });
    return CHANNELS.flatMap((channel) => [
      say("subscribe", channel),
      say("unsubscribe", channel),
      say("announce", channel),
      say("announce", channel, 2),
    ]);
  });
  const leaves = open.map((client) => ({
    label: `${client.name} leaves`,
    happen: () => simulation.disconnect(client),
  }));
  return [...(open.length < MOST_CLIENTS ? connects : []), ...words, ...leaves];
}

/** Comes to rest, has every channel used once more, and comes to rest again: nothing may be left over. */
async function useEverything(simulation: Simulation): Promise<void> {
  await simulation.quiesce();
  simulation.noteWhoHearsEveryone();
  for (const home of CHANNELS) {
    const client = simulation.connect(home);
    await simulation.quiesce();
    for (const channel of CHANNELS) client.say("announce", channel);
    await simulation.quiesce();
  }
}

/** Plays a service out as the choices say, and checks all that can be checked of any. */
async function play(choices: number[], withFaults: boolean, clientLimit = 0): Promise<Simulation> {
  let i = 0;
  const simulation = new Simulation((among) => (choices[i++] ?? 0) % among, clientLimit);
  try {
    // What is opened after the last fault has to stay: that shows while its consequences still come in.
    const calm = (choices.length * 2) / 3;
    while (i < calm) await simulation.step(wishes(simulation), withFaults);
    if (withFaults) await simulation.crash();
    while (i < choices.length) await simulation.step(wishes(simulation), false);
    await useEverything(simulation);
    checkTogether(simulation.clients);
    simulation.checkLeftovers();
    if (clientLimit > 0) await simulation.checkCount();
    checkEndings(simulation.clients, withFaults);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
  }
  return simulation;
}

/** A client that neither left nor lost its object was closed with a reason, and only after a fault. */
function checkEndings(clients: SimulatedClient[], withFaults: boolean): void {
  for (const { name, ending } of clients) {
    if (!ending || ending.code === 1005 || (withFaults && ending.code === 1006)) continue;
    if (withFaults && ending.code === 1013 && ending.reason !== "") continue;
    throw new Breach(`${name} was closed with ${ending.code} ${ending.reason}`);
  }
}

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" });

test("links keep the promises, whatever the network and the objects do", {
  timeout: 120_000 * TIMES,
}, async () => {
  await fc.assert(
    fc.asyncProperty(choices, async (choices) => void (await play(choices, true))),
    howOften(3_000),
  );
});

test("without failures nobody is closed, whenever objects hibernate", {
  timeout: 120_000 * TIMES,
}, async () => {
  await fc.assert(
    fc.asyncProperty(choices, async (choices) => void (await play(choices, false))),
    howOften(1_000),
  );
});

test("where connections are counted, nothing else is different, and the count is true in the end", {
  timeout: 120_000 * TIMES,
}, async () => {
  await fc.assert(
    fc.asyncProperty(choices, fc.boolean(), async (choices, withFaults) => {
      await play(choices, withFaults, 1_000);
    }),
    howOften(1_000),
  );
});
