/** Which code is mutated, and which tests should prove it. */

/** The code that is mutated: folders of `src/`. The first six are the core. */
export const AREAS = [
  "channel",
  "session",
  "tree",
  "presence",
  "protocol",
  "object",
  "streams",
  "client",
  "cli",
  "bridge",
];

/** Tests that run with the mutants that survived the stages before. */
export interface Stage {
  name: string;
  /** The beginnings of their paths. */
  tests: string[];
  env?: Record<string, string>;
}

export const STAGES: Stage[] = [
  { name: "unit tests", tests: AREAS.map((area) => `test/unit/${area}/`) },
  { name: "simulations", tests: ["test/simulation/"], env: { RUNS: "0.03" } },
  {
    name: "programs",
    tests: ["test/e2e/cli.test.ts", "test/e2e/cli-", "test/e2e/bridge.test.ts"],
    env: { IN_PROGRAMS: "1" },
  },
];
