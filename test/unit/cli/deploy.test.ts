/** What `fanout deploy` writes and says. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { nextSteps } from "../../../src/cli/deploy/next-steps.ts";
import { createProject, findConfiguration } from "../../../src/cli/deploy/project.ts";
import { configurationOf } from "../../../src/cli/deploy/templates.ts";
import { findPackages, TESTED } from "../../../src/cli/deploy/wrangler.ts";
import { runHere } from "./in-process.ts";

const AT = ["https://fanout.ann.workers.dev"];

test("a server requires a secret, unless it is open", () => {
  expect(configurationOf("chat", false)).toMatch(/^name = "chat"$[\s\S]*^required = \["TOKEN_SECRET"\]$/m);
  expect(configurationOf("chat", true)).not.toMatch(/^required = /m);
});

test.each([
  ["an open server", [AT, {}, true, undefined], ["open to everyone"], ["TOKEN"]],
  [
    "a secret that was just made",
    [AT, {}, false, { TOKEN_SECRET: "x" }],
    ["export $(cat ", "FANOUT_TOKEN=$(npx"],
    ["SECRET=…"],
  ],
  ["another secret", [AT, {}, false, { OTHER: "x" }], ["TOKEN_SECRET=…", "FANOUT_TOKEN=$(npx"], ["export $(cat "]],
  ["no file of secrets", [AT, {}, false, undefined], ["TOKEN_SECRET=…"], ["export $(cat "]],
  [
    "an issuer",
    [AT, { vars: { TOKEN_JWKS_URL: "https://x" } }, false, undefined],
    ["FANOUT_TOKEN=…"],
    ["TOKEN_SECRET"],
  ],
  [
    "allowed origins",
    [AT, { vars: { ALLOWED_ORIGINS: "https://x" } }, true, undefined],
    ["doctor"],
    ["ALLOWED_ORIGINS"],
  ],
] as const)("the next steps with %s", (_, [targets, configuration, isOpen, secrets], parts, absent) => {
  const steps = nextSteps([...targets], configuration, isOpen, secrets).join("\n");
  for (const part of parts) expect(steps).toContain(part);
  for (const part of absent) expect(steps).not.toContain(part);
});

test.each([
  [["https://fanout.ann.workers.dev"], "wss://fanout.ann.workers.dev"],
  [["live.example.com (custom domain - zone: example.com)"], "wss://live.example.com"],
  [["*.example.com/* (zone name: example.com)", "https://a.b/"], "wss://a.b"],
  [["https://example.com/path"], "wss://<its address>"],
  [[], "wss://<its address>"],
])("a server at %j is examined at %s", (targets, address) => {
  expect(nextSteps(targets, {}, true, undefined)).toContain(`  npx fanout doctor ${address}`);
});

/** Creates a folder with files, which is removed after the test. */
function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "deploy-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** A Wrangler that understands one configuration, and reports a deployment. */
const WRANGLER = {
  "node_modules/wrangler/package.json": JSON.stringify({ version: TESTED, type: "module", main: "main.js" }),
  "node_modules/wrangler/main.js":
    'export const experimental_readRawConfig = () => ({ rawConfig: { name: "chat", main: "worker.js" } });',
  "node_modules/wrangler/bin/wrangler.js": `
    import { writeFileSync } from "node:fs";
    const deployed = { type: "deploy", version_id: "1", targets: ["https://chat.ann.workers.dev"] };
    writeFileSync(process.env.WRANGLER_OUTPUT_FILE_PATH, JSON.stringify(deployed));`,
};

test("a missing Worker is written before a deployment, whose address is printed", async () => {
  const folder = folderOf({
    ...WRANGLER,
    "node_modules/fanout-edge/package.json": "{}",
    "wrangler.toml": configurationOf("chat", true),
  });
  vi.spyOn(process, "cwd").mockReturnValue(folder);
  onTestFinished(() => void vi.restoreAllMocks());
  const { code, out, err } = await runHere(["deploy", "--open"]);
  expect([code, err]).toEqual([0, "fanout: wrote worker.js\n"]);
  expect(out).toContain("wss://chat.ann.workers.dev");
});

test("a folder needs this package", () => {
  expect(() => findPackages(folderOf(WRANGLER))).toThrow(
    "this folder needs fanout-edge: npm install --save-dev fanout-edge",
  );
});

test("a folder has one configuration", () => {
  const one = { "wrangler.toml": configurationOf("chat", true) };
  expect(findConfiguration(folderOf(one))).toBe("wrangler.toml");
  expect(findConfiguration(folderOf({}))).toBeUndefined();
  const two = folderOf({ ...one, "wrangler.json": configurationOf("chat", true) });
  expect(() => findConfiguration(two)).toThrow(
    "this folder has wrangler.toml and wrangler.json; keep only one of them",
  );
});

test("the files of a project are written, unless they exist", () => {
  const folder = folderOf({});
  const all = [".gitignore", "deploy.env", "worker.js", "wrangler.toml"];
  expect(createProject(folder, "chat", false).written.sort()).toEqual(all);
  expect(readdirSync(folder).sort()).toEqual(all);
  expect(createProject(folder, "chat", false).written).toEqual([]);
});
