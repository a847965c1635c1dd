import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { SECRET } from "./test/mint.ts";

const wrangler = { configPath: "./wrangler.toml" };
/** Room for so little that every channel becomes a tree. */
const tiny = { bindings: { SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" } };
const inTrees = ["test/tree.test.ts", "test/transcripts.test.ts"];
/** A server that only lets in who has a token. */
const locked = { bindings: { TOKEN_SECRET: SECRET } };
const withTokens = ["admission", "permissions", "renewal", "expiry"].map((name) => `test/${name}.test.ts`);

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [cloudflareTest({ wrangler })],
        test: {
          name: "workerd",
          include: ["test/*.test.ts"],
          exclude: ["test/tree.test.ts", "test/quota.test.ts", "test/links.test.ts", ...withTokens],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      { test: { name: "simulation", include: ["test/links.test.ts"] } },
      {
        plugins: [cloudflareTest({ wrangler, miniflare: tiny })],
        test: { name: "trees", include: inTrees, testTimeout: 60_000, hookTimeout: 60_000 },
      },
      {
        plugins: [cloudflareTest({ wrangler, miniflare: { bindings: { CLIENT_LIMIT: "4" } } })],
        test: { name: "limited", include: ["test/quota.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
      },
      {
        plugins: [cloudflareTest({ wrangler, miniflare: locked })],
        test: { name: "tokens", include: withTokens, testTimeout: 60_000, hookTimeout: 60_000 },
      },
      {
        test: { name: "e2e", include: ["test/e2e/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});
