import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { SECRET } from "./test/runtime/support/mint.ts";
import { writeConsoleModule } from "./tools/build-console.ts";

// The Worker imports it.
writeConsoleModule();

/** Nothing here is a threshold: only a test that is about to fail, on a busy machine, ever takes so long. */
const patience = { testTimeout: 120_000, hookTimeout: 120_000 };

/** Tests that run in Node. */
function inNode(name: string, more: { globalSetup?: string[] } = {}) {
  return { test: { ...patience, name, include: [`test/${name}/**/*.test.ts`], ...more } };
}

/** Tests that run inside the runtime, next to a server with settings of its own. */
function inRuntime(name: string, settings: Record<string, string>, ...more: string[]) {
  const wrangler = { configPath: "./wrangler.toml" };
  // Whoever runs the tests may have a secret in .dev.vars.
  const bindings = { TOKEN_SECRET: "", ...settings };
  const include = [`test/runtime/${name}/*.test.ts`, ...more];
  return {
    plugins: [cloudflareTest({ wrangler, miniflare: { bindings } })],
    test: { ...patience, name, include },
  };
}

/** Room for so little that every channel becomes a tree. */
const narrow = { SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" };

/** What is said to and heard from a server, which holds for every one that is open to all. */
const plays = "test/runtime/conformance.test.ts";

const bundled = "test/e2e/support/bundled.ts";

export default defineConfig({
  test: {
    // More than there are cores, of which two are enough: much of what is tested end to end is waiting.
    maxWorkers: 3,
    coverage: { include: ["src/**/*.ts"], reporter: ["text"] },
    projects: [
      inNode("unit"),
      inNode("simulation"),
      inNode("upgrades"),
      // What is left in storage, and who is closed, is another matter where messages are kept.
      inRuntime("open", { HISTORY_SECONDS: "0" }, plays),
      inRuntime("trees", { ...narrow, HISTORY_SECONDS: "0" }, plays),
      inRuntime("history", {}, plays),
      inRuntime("grown", narrow, plays, "test/runtime/history/*.test.ts"),
      inRuntime("limited", { CLIENT_LIMIT: "4" }),
      inRuntime("tokens", { TOKEN_SECRET: SECRET, HISTORY_SECONDS: "0" }),
      inNode("e2e", { globalSetup: [bundled] }),
      inNode("packages", { globalSetup: [bundled, "test/packages/setup.ts"] }),
      inNode("probe"),
    ],
  },
});
