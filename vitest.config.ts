import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { TAGS } from "./test/guarantees.ts";
import { SECRET } from "./test/runtime/support/mint.ts";
import { writeAssets } from "./tools/build-assets.ts";

// The Worker imports them.
writeAssets();

/** Far longer than any test or state takes: only a hanging test, or one on a very busy machine, reaches these limits. */
const patience = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 60_000 } } };

const SLOW = "test/**/*.slow.test.ts";

/** The slow tests, and the simulations with more runs: 50,000 altogether. */
const SLOWLY = {
  include: [SLOW, "test/simulation/**/*.test.ts"],
  exclude: configDefaults.exclude,
  env: { RUNS: process.env.RUNS ?? "7" },
};

/** Setup for tests that serve the Worker's bundle. */
const BUNDLED = "test/e2e/support/bundled.ts";

/** Setup for tests that install the package. */
const PACKED = "test/packages/packed.ts";

/** Setup for tests in other runtimes. */
const RUNTIMES = "test/packages/setup.ts";

interface More {
  include?: string[];
  exclude?: string[];
  globalSetup?: string[];
  env?: Record<string, string>;
  testTimeout?: number;
  isolate?: boolean;
  unstubGlobals?: boolean;
}

/** Returns a project of tests that run in Node: those in the folder of its name that aren't slow, or others. */
function inNode(name: string, more: More = {}) {
  const include = [`test/${name}/**/*.test.ts`];
  const exclude = [...configDefaults.exclude, SLOW];
  return { test: { ...patience, name, include, exclude, ...more } };
}

/** Returns a project of tests that run inside the runtime, next to a server with settings of its own. */
function inRuntime(name: string, settings: Record<string, string>, ...more: string[]) {
  const wrangler = { configPath: "./wrangler.toml" };
  // A developer may have a secret in .dev.vars.
  const bindings = { TOKEN_SECRET: "", ...settings };
  const include = [`test/runtime/${name}/*.test.ts`, ...more];
  return {
    plugins: [cloudflareTest({ wrangler, miniflare: { bindings } })],
    test: { ...patience, name, include },
  };
}

/** Limits so low that every channel becomes a tree. */
const NARROW = { SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" };

/** Transcripts, which hold on every server that needs no tokens. */
const CONFORMANCE = "test/runtime/conformance.test.ts";

/** The projects with the longest test files, which begin first, so that none is left to run alone at the end. */
const LONGEST = ["simulation", "projects", "slow", "packages", "e2e"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ project }: TestSpecification) => LONGEST.includes(project.name);
    return [
      ...LONGEST.flatMap((name) => sorted.filter(({ project }) => project.name === name)),
      ...sorted.filter((file) => !isLong(file)),
    ];
  }
}

export default defineConfig({
  test: {
    tags: TAGS,
    reporters: ["default", "./test/not-run.ts"],
    sequence: { sequencer: LongestFirst },
    // One more than two cores, because end-to-end tests mostly wait.
    maxWorkers: 3,
    coverage: { include: ["src/**/*.ts"], reporter: ["text"] },
    projects: [
      // All files share their modules: they leave no state behind, and 150 files would load them 150 times.
      inNode("unit", { isolate: false, unstubGlobals: true }),
      inNode("simulation"),
      inNode("upgrades"),
      // Without retention, other rows are left in storage, and other connections closed.
      inRuntime("open", { HISTORY_SECONDS: "0" }, CONFORMANCE),
      inRuntime("trees", { ...NARROW, HISTORY_SECONDS: "0" }, CONFORMANCE),
      inRuntime("history", {}, CONFORMANCE),
      inRuntime("grown", NARROW, CONFORMANCE, "test/runtime/history/*.test.ts"),
      inRuntime("limited", { CLIENT_LIMIT: "4" }),
      inRuntime("tokens", { TOKEN_SECRET: SECRET, HISTORY_SECONDS: "0" }),
      inNode("e2e", { globalSetup: [BUNDLED] }),
      // `npm test` leaves out these three.
      inNode("slow", { ...SLOWLY, globalSetup: [BUNDLED] }),
      inNode("packages", { globalSetup: [BUNDLED, PACKED, RUNTIMES] }),
      inNode("projects", { globalSetup: [BUNDLED, PACKED, RUNTIMES], testTimeout: 900_000 }),
    ],
  },
});
