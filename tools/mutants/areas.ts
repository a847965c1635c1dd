/** The code that is mutated, and the tests that should prove it. */

/** Folders of `src/`. */
export const AREAS = {
  core: ["channel", "session", "tree", "presence", "protocol", "object"],
  streams: ["streams"],
  client: ["client"],
  cli: ["cli"],
  bridge: ["bridge"],
};

/** Tests that run with the mutants that survived the stages before. */
export interface Stage {
  name: string;
  /** The beginnings of their paths. */
  tests: string[];
  env?: Record<string, string>;
}

export const STAGES: Stage[] = [
  { name: "unit tests", tests: Object.values(AREAS).flatMap((folders) => folders.map((name) => `test/unit/${name}/`)) },
  { name: "simulations", tests: ["test/simulation/"], env: { RUNS: "0.01" } },
  { name: "programs", tests: ["test/e2e/cli", "test/e2e/bridge.test.ts"], env: { IN_PROGRAMS: "1" } },
];
