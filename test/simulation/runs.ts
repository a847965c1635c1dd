/**
 * Makes the runs of the simulations' properties: first the failures of the past, then many with a fixed seed, which are
 * the same each time, then some with a fresh seed. It counts them, and prints how many there were.
 */

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";

/** `RUNS=20` multiplies the number of runs. */
const TIMES = Number(process.env.RUNS ?? 1);

/** `SEED=… REPLAY=…` replays a failure by the seed and the path that it printed; `SEED=…` alone replays fresh runs. */
const { SEED, REPLAY, NOSHRINK } = process.env;

const FIXED_SEED = 20_261_128;

/** One fresh run is made for so many with the fixed seed. */
const PER_FRESH_RUN = 20;

/** In milliseconds: far longer than all runs take on a busy machine, because a property must make all of them. */
const TIMEOUT = 900_000 * Math.max(1, TIMES);

/** A failure of the past. */
export interface Failure<Scenario> {
  /** The title of its property. */
  title: string;
  choices: number[];
  scenario: Scenario;
}

export interface Property<Scenario, Goal extends string> {
  /** The guarantees that it proves. */
  tags?: string[];
  /** The number of runs with the fixed seed, if `RUNS` is 1. */
  runs: number;
  scenarios: fc.Arbitrary<Scenario>;
  /** Rare events that the runs exist for. If the fixed seed doesn't reach one of them, they are too short or too tame. */
  goals?: readonly Goal[];
}

/** Makes one run, and returns the goals that it reached. */
export type Play<Scenario, Goal extends string> = (choices: number[], scenario: Scenario) => Promise<Iterable<Goal>>;

/**
 * Returns a function that declares a property as a test.
 * @param failures those of the past, which every property replays first
 */
export function propertiesOf<Scenario, Goal extends string>(
  play: Play<Scenario, Goal>,
  failures: readonly Failure<Scenario>[] = [],
) {
  return (title: string, { tags = [], runs, scenarios, goals = [] }: Property<Scenario, Goal>): void => {
    test(title, { tags, timeout: TIMEOUT }, async () => {
      const reached = new Set<Goal>();
      const note = async (choices: number[], scenario: Scenario) => {
        for (const goal of await play(choices, scenario)) reached.add(goal);
      };
      if (REPLAY !== undefined) return await assertHolds(title, scenarios, note, { seed: Number(SEED), path: REPLAY });
      const past = failures.filter((failure) => failure.title === title);
      for (const { choices, scenario } of past) await play(choices, scenario);
      const fixed = Math.ceil(runs * TIMES);
      await assertHolds(title, scenarios, note, { seed: FIXED_SEED, numRuns: fixed });
      const fresh = Math.ceil(fixed / PER_FRESH_RUN);
      const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
      report.push(
        `${title}: ${past.length > 0 ? `${past.length} past failures, ` : ""}${fixed.toLocaleString("en")} runs, ` +
          `seed ${FIXED_SEED} (fixed) + ${fresh.toLocaleString("en")} runs, seed ${seed} (fresh)`,
      );
      const unreached = goals.filter((goal) => !reached.has(goal));
      if (TIMES >= 1) expect(unreached, "events that no run reached").toEqual([]);
      await assertHolds(title, scenarios, note, { seed, numRuns: fresh });
    });
  };
}

/** The runs of each property, to be printed. */
const report: string[] = [];

afterAll(() => {
  if (report.length > 0) console.info(report.join("\n"));
});

/** The choices of a run. */
const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 300, size: "max" });

/**
 * Makes runs, and checks that it made as many as it should.
 * @throws Error with the shortest failure that it finds, and how to replay and keep it
 */
async function assertHolds<Scenario>(
  title: string,
  scenarios: fc.Arbitrary<Scenario>,
  play: (choices: number[], scenario: Scenario) => Promise<void>,
  parameters: fc.Parameters<[number[], Scenario]>,
): Promise<void> {
  const property = fc.asyncProperty(choices, scenarios, play);
  const endOnFailure = parameters.path !== undefined || NOSHRINK !== undefined;
  const details = await withoutStacks(() => fc.check(property, { ...parameters, endOnFailure }));
  if (!details.failed) return expect(details.numRuns).toBe(parameters.numRuns ?? details.numRuns);
  const { seed, counterexamplePath, counterexample } = details;
  if (!counterexample) throw new Error(fc.defaultReportMessage(details));
  const [shortest, scenario] = counterexample;
  const kept = `{ title: ${JSON.stringify(title)}, choices: ${JSON.stringify(shortest)}, scenario: ${JSON.stringify(scenario)} }`;
  const found = `SEED=${seed} REPLAY=${counterexamplePath} replays this failure. To keep it:\n${kept}`;
  // Once more, for the stack.
  const cause: unknown = await play(shortest, scenario).catch((error: unknown) => error);
  throw new Error(`${found}\n\n${cause ?? "The failure doesn't repeat."}`, { cause });
}

/** Has errors made without stacks meanwhile, because these runs make many, and stacks take a tenth of the time. */
async function withoutStacks<T>(work: () => Promise<T>): Promise<T> {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = before;
  }
}
