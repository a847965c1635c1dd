/** What the doctor finds at servers whose answers the test chooses. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { addressOf } from "../../../src/bridge/bridge.ts";
import { access } from "../../../src/cli/doctor/access.ts";
import type { Check } from "../../../src/cli/doctor/findings.ts";
import { hardening } from "../../../src/cli/doctor/hardening.ts";
import { httpDelivery } from "../../../src/cli/doctor/http-delivery.ts";
import { retention } from "../../../src/cli/doctor/retention.ts";
import { serverSettings } from "../../../src/cli/doctor/server-settings.ts";
import { targetAt } from "../../../src/cli/doctor/target.ts";
import { timing, transcripts } from "../../../src/cli/doctor/transcripts.ts";
import { VERSION } from "../../../src/version.ts";
import { FakeSocket } from "../client/fakes.ts";

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

test.each([
  [401, "", "note: the statistics need a valid token"],
  [403, "", "note: the statistics need a token with the claim 'operate'"],
  [200, { uptime: "1d" }, "ok: ? connections and ? channels now, up for 1d s"],
])("from statistics with %i %j, the finding is %s", async (status, answer, finding) => {
  expect(await find(access, "info", status, answer)).toBe(finding);
});

test.each([
  ["no answer", (socket: Socket) => void socket.destroy()],
  ["503", (socket: Socket) => void socket.end("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")],
])("whether tokens are needed can't be told from %s", async (what, answer) => {
  const server = createServer((socket) => void socket.once("data", () => answer(socket))).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const check = access.find(({ name }) => name === "tokens");
  const finding = await check?.run(targetAt(`ws://${addressOf(server)}`, { timeout: 5 }));
  expect(finding?.text).toBe(`can't tell whether they are needed (an upgrade gets ${what})`);
});

test("a stream that was examined is closed", async () => {
  const isClosed = vi.fn();
  let send = (_: string) => {};
  const body = () =>
    new ReadableStream({
      start: (controller) => {
        send = (event) => controller.enqueue(new TextEncoder().encode(event));
        send("event: debug\ndata: connected\n\n");
      },
      cancel: isClosed,
    });
  vi.stubGlobal("fetch", async (url: string, { method }: RequestInit) => {
    if (method !== "POST") return new Response(body());
    send(`event: ${new URL(url).pathname.slice(1)}\ndata: hello\nid: 1\n\n`);
    return Response.json({});
  });
  const check = httpDelivery.find(({ name }) => name === "events");
  expect(await check?.run(targetAt("wss://host", { timeout: 1 }))).toMatchObject({ grade: "ok" });
  expect(isClosed).toHaveBeenCalled();
});

/** Has a check examine a server that replies to each line as a function says. */
async function converse(checks: Check[], name: string, reply: (line: string) => string[]) {
  vi.stubGlobal(
    "WebSocket",
    class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        queueMicrotask(() => this.receive("debug!connected..."));
      }

      override send(frame: string): void {
        const replies = frame.trimEnd().split("\n").flatMap(reply);
        queueMicrotask(() => this.receive(...replies));
      }
    },
  );
  const check = checks.find((each) => each.name === name);
  const finding = await check?.run(targetAt("wss://host", { timeout: 1 }));
  return finding && `${finding.grade}: ${finding.text}`;
}

/** Replies to `ping` alone, by a clock that is some seconds ahead. */
const silent =
  (ahead = 0) =>
  (line: string) =>
    line === "ping" ? [String(Math.floor(Date.now() / 1_000) + ahead)] : [];

test("a server that doesn't reply about history is reported", async () => {
  await expect(converse(retention, "history", silent())).rejects.toThrow(
    /^the server answers '' instead of 'debug!posi/,
  );
});

test.each([
  [["debug!error invalid nonsense: no"], "ok"],
  [["debug!error invalid nonsense: no", "more"], "more"],
  [["hello"], "hello"],
  [[], "nothing"],
])("an invalid command that gets %j is judged: %s", async (replies, judged) => {
  const reply = (line: string) => (line === "nonsense" ? replies : silent()(line));
  const finding = await converse(transcripts, "mistake", reply).catch((error: Error) => error.message);
  expect(finding).toMatch(judged === "ok" ? /^ok: / : new RegExp(`^the server answers .*${judged}.* instead of`));
});

test.each([
  [0, /^ok: the same as this machine's$/],
  [4, /^ok: [34] s ahead of this machine's$/],
  [-4, /^ok: [345] s behind this machine's$/],
  [100, /^note: (99|100) s ahead of this machine's: one of them is wrong/],
])("a clock that is %i s ahead is judged: %s", async (ahead, finding) => {
  expect(await converse(timing, "clock", silent(ahead))).toMatch(finding);
});
