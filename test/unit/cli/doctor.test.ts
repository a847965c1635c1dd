/** What the doctor finds at servers whose answers the test chooses. */
import { afterEach, expect, test, vi } from "vitest";
import type { Check } from "../../../src/cli/doctor/findings.ts";
import { hardening } from "../../../src/cli/doctor/hardening.ts";
import { serverSettings } from "../../../src/cli/doctor/server-settings.ts";
import { targetAt } from "../../../src/cli/doctor/target.ts";
import { VERSION } from "../../../src/version.ts";

afterEach(() => vi.unstubAllGlobals());

/** Has a check examine a server with the same answer to all requests. */
async function find(checks: Check[], name: string, status: number, answer: unknown, token?: string) {
  const body = typeof answer === "string" ? answer : JSON.stringify(answer);
  vi.stubGlobal("fetch", async () => new Response(body, { status }));
  const found = checks.find((check) => check.name === name);
  const finding = await found?.run(targetAt("wss://host", { token, timeout: 1 }));
  return finding && `${finding.grade}: ${finding.text}`;
}

const tokenOf = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

const soon = () => Math.floor(Date.now() / 1_000) + 3_600;
const sound = () => ({ exp: soon(), aud: "host", sub: "ann", announce: ["news"], enter: ["news"] });

test("pages of other sites may connect or not", async () => {
  expect(await find(hardening, "origins", 403, "")).toBe("ok: pages of other sites are refused");
  expect(await find(hardening, "origins", 200, "")).toMatch(/^note: pages of any site may connect/);
});

test.each<[string, object]>([
  ["", {}],
  ["is valid for more than a day", { exp: soon() + 90_000 }],
  ["is valid for more than a day", { exp: undefined }],
  ["has no audience, so it is valid at all servers with its secret", { aud: undefined }],
  ["may announce on every channel", { announce: ["news", "*"] }],
  ["may enter under any name, because it has no claim 'sub'", { sub: undefined }],
  ["", { sub: undefined, enter: [] }],
  ["", { sub: undefined, enter: undefined }],
  ["may see the operators' pages", { operate: true }],
  [
    "has no audience, so it is valid at all servers with its secret; may see the operators' pages",
    { aud: undefined, operate: true },
  ],
])("a token's faults are: '%s'", async (faults, claims) => {
  const finding = await find(hardening, "grants", 200, "", tokenOf({ ...sound(), ...claims }));
  const note = `note: your token ${faults}; don't give such tokens to users`;
  expect(finding).toBe(faults === "" ? "ok: your token is short-lived, and grants only named channels" : note);
});

test("without a token, there is none to judge", async () => {
  expect(await find(hardening, "grants", 200, "")).toBeUndefined();
});

test.each<[string, object]>([
  ["ok: connections and lines are limited", { CLIENT_LIMIT: 5, LINES_PER_SECOND: 1_000 }],
  ["note: CLIENT_LIMIT allows any number of connections", { CLIENT_LIMIT: 0, LINES_PER_SECOND: 10 }],
  [
    "note: LINES_PER_SECOND allows 1001; 1000 are enough for most servers",
    { CLIENT_LIMIT: 5, LINES_PER_SECOND: 1_001 },
  ],
])("%s", async (finding, settings) => {
  expect(await find(hardening, "exposure", 200, { version: VERSION, settings })).toBe(finding);
});

/** Metrics of a server that has run for some seconds. */
const metrics = (seconds: number, written: number, refused = 0) =>
  [
    `fanout_rows_written_total ${written}`,
    `fanout_rows_refused_total ${refused}`,
    `fanout_start_time_seconds ${Date.now() / 1_000 - seconds}`,
  ].join("\n");

test.each([
  [403, "", /^note: the number of written rows needs a token/],
  [200, "fanout_other 1", /^note: the server doesn't report the number of written rows$/],
  [200, metrics(1_000, 5), /^ok: 5 written so far; run this again when the server is an hour old$/],
  [200, metrics(86_400, 5, 3), /^note: storage has refused 3 rows/],
  [200, metrics(86_400, 99_000), /^ok: 9[89],\d{3} per day at the current rate, within the 100,000 of the free plan$/],
  [200, metrics(86_400, 110_000), /^note: 1(09|10),\d{3} per day at the current rate, more than the 100,000/],
])("from %i with '%s', the rows are judged", async (status, body, finding) => {
  expect(await find(hardening, "rows", status, body)).toMatch(finding);
});

test.each([
  [403, "", "note: this needs a token with the claim 'operate'"],
  [404, "", "note: unknown, because the server is older than this program"],
  [200, { version: VERSION, settings: {} }, `ok: ${VERSION}, the same as this program`],
  [200, { version: "0", settings: {} }, `note: 0; this program is ${VERSION}, so some findings may be wrong`],
])("from settings with %i %j, the version is judged", async (status, answer, finding) => {
  expect(await find(serverSettings, "version", status, answer)).toBe(finding);
});

test.each([[null], ["text"], [{ version: 1, settings: {} }], [{ version: "1" }], [{ version: "1", settings: null }]])(
  "settings that are %j are an error",
  async (answer) => {
    await expect(find(serverSettings, "version", 200, JSON.stringify(answer))).rejects.toThrow(/without settings/);
  },
);
