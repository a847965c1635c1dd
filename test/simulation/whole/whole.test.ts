/** Simulates clients, the Worker and its objects together: see `test/README.md`. */
import fc from "fast-check";
import { beforeAll } from "vitest";
import { propertiesOf } from "../runs.ts";
import { bundleWorker, type NewIsolate } from "./bundle.ts";
import { type Scenario, World } from "./world.ts";

/** Events that the runs exist for. */
type Goal = "a message" | "a gap" | "an isolate ended";

let create: NewIsolate;

beforeAll(async () => {
  create = await bundleWorker();
});

async function play(choices: number[], scenario: Scenario): Promise<Goal[]> {
  let i = 0;
  const t0 = Date.now();
  const choose = (among: number) => (choices[i++] ?? 0) % Math.max(1, among);
  const world = new World(choose, scenario, create);
  try {
    await world.start();
    while (i < choices.length) await world.step();
    world.heal();
    await world.checkSettled();
    await world.checkNothingLeft();
    if (process.env.DEBUG_RUNS) console.log(world.trace.length, Date.now() - t0, JSON.stringify(scenario));
    return goalsOf(world);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${world.trace.join("\n")}`, { cause: error });
  }
}

function goalsOf({ programs, truth, ended }: World): Goal[] {
  return [
    ...(programs.some(({ readers }) => readers.some(({ count }) => count > 0)) ? (["a message"] as const) : []),
    ...(truth.gaps > 0 ? (["a gap"] as const) : []),
    ...(ended > 0 ? (["an isolate ended"] as const) : []),
  ];
}

const drawn = {
  transports: fc.array(fc.constantFrom("sockets" as const, "sockets" as const, "none" as const, "blocked" as const), {
    minLength: 1,
    maxLength: 3,
  }),
  withTokens: fc.boolean(),
  historySeconds: fc.constantFrom(120, 30, 5),
  withTrees: fc.boolean(),
  hasLowRate: fc.constantFrom(false, false, true),
  isStrict: fc.boolean(),
};

const property = propertiesOf<Scenario, Goal>(play);

property("from client to client, without failures, no message is missing, late or duplicated", {
  tags: ["client-once"],
  runs: 100,
  scenarios: fc.record({ ...drawn, withFaults: fc.constant(false) }),
  goals: ["a message"],
});

property("from client to client, despite failures, every message arrives once and in order, or is in a gap", {
  tags: ["resume-exact", "client-once", "client-retries", "client-enters-again", "client-members"],
  runs: 200,
  scenarios: fc.record({ ...drawn, withFaults: fc.constant(true) }),
  goals: ["a message", "a gap", "an isolate ended"],
});
