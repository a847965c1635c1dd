/** What `fanout deploy` writes and says. */
import { expect, test } from "vitest";
import { nextSteps } from "../../../src/cli/deploy/next-steps.ts";
import { configurationOf } from "../../../src/cli/deploy/templates.ts";

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
