import fc from "fast-check";
import { expect, test } from "vitest";
import { checkTogether } from "./simulated-client.ts";
import { Simulation } from "./simulation.ts";

const HOMES = ["all", "a", "b"];
const CHANNELS = ["all", "a", "b", "c"];
/** Most clients at one time: enough for every object to have some, few enough to meet often. */
const MOST_CLIENTS = 4;

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

test("links keep the promises, whatever the network and the objects do", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" }), async (choices) => {
      let i = 0;
      const simulation = new Simulation((among) => (choices[i++] ?? 0) % among);
      try {
        while (i < choices.length) await simulation.step(wishes(simulation));
        await useEverything(simulation);
        checkTogether(simulation.clients);
        simulation.checkLeftovers();
        for (const client of simulation.clients) {
          if (client.ending && client.ending.code !== 1005 && client.ending.code !== 1006) {
            expect(client.ending).toEqual({ code: 1013, reason: "messages may be missing; connect again" });
          }
        }
      } catch (error) {
        throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
      }
    }),
    { numRuns: 3_000 },
  );
}, 120_000);
