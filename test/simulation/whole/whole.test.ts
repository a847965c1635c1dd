/** Simulates clients, the Worker and its objects together: see `test/README.md`. */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { propertiesOf } from "../runs.ts";
import { bundleWorker, type NewIsolate } from "./bundle.ts";
import { CALM_GOALS, GOALS, type Goal } from "./coverage.ts";
import { type Scenario, World } from "./world.ts";

let create: NewIsolate;

beforeAll(async () => {
  create = await bundleWorker();
});

/** How often a run uses its choices, because a world needs more of them than can be drawn quickly. */
const ROUNDS = 5;

/** Returns a choice: the same one differs in each round. */
function drawn(choices: number[], i: number): number {
  const round = Math.floor(i / choices.length);
  const mixed = Math.imul((choices[i % choices.length] ?? 0) ^ (round * 0x9e3779b9), 0x85ebca6b);
  return round === 0 ? (choices[i] ?? 0) : (mixed ^ (mixed >>> 15)) >>> 0;
}

async function play(choices: number[], scenario: Scenario): Promise<World> {
  let i = 0;
  const choose = (among: number) => (i < choices.length * ROUNDS ? drawn(choices, i++) % Math.max(1, among) : 0);
  const world = new World(choose, scenario, create);
  try {
    await world.start();
    if (choose(2) === 0) await world.settleIn();
    while (i < choices.length * (ROUNDS - 1)) await world.step();
    await world.end();
    await world.checkSettled();
    await world.checkNothingLeft();
    return world;
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${world.trace.join("\n")}`, { cause: error });
  }
}

const scenario = {
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

const property = propertiesOf<Scenario, Goal>(async (choices, scenario) => (await play(choices, scenario)).reached);

property("from client to client, without failures, no message is missing, late or duplicated", {
  tags: ["client-once"],
  runs: 100,
  scenarios: fc.record({ ...scenario, withFaults: fc.constant(false) }),
  goals: CALM_GOALS,
});

property("from client to client, despite failures, every message arrives once and in order, or is in a gap", {
  tags: ["resume-exact", "client-once", "client-retries", "client-enters-again", "client-members"],
  runs: 200,
  scenarios: fc.record({ ...scenario, withFaults: fc.constant(true) }),
  goals: GOALS,
});

test("a run can be replayed: the same choices make the same events", async () => {
  const [choices = []] = fc.sample(fc.array(fc.nat(), { minLength: 200, maxLength: 200 }), { seed: 1, numRuns: 1 });
  const more = {
    withTokens: true,
    historySeconds: 30,
    withTrees: true,
    hasLowRate: false,
    withFaults: true,
    isStrict: true,
  };
  const again: Scenario = { transports: ["sockets", "none", "blocked"], ...more };
  const { trace } = await play(choices, again);
  expect((await play(choices, again)).trace).toEqual(trace);
});
