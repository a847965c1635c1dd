/** `fanout doctor`, with healthy and unhealthy servers. */

import { once } from "node:events";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { startFake } from "./support/fake-server.ts";
import { listening } from "./support/listening.ts";
import { run } from "./support/program.ts";
import { serveInTest } from "./support/serve.ts";

async function urlWith(settings: Record<string, string> = {}): Promise<string> {
  const { url } = await serveInTest({ settings });
  return url;
}

/** Runs the doctor, and returns the grade and the text of each finding. */
async function examine(url: string, env: Record<string, string> = {}, timeout = "10") {
  const { code, out, err } = await run(["doctor", url, "--timeout", timeout], { env });
  expect(err).toBe("");
  const found = [...out.matchAll(/^(ok|note|bad) +([\w-]+): (.+)$/gm)];
  expect(found.map(([line]) => line).join("\n")).toBe(out.trimEnd());
  const grades = found.map(([, grade = "", name = ""]): [string, string] => [name, grade]);
  return { code, grades: Object.fromEntries(grades), says: (name: string) => sayingOf(found, name) };
}

function sayingOf(found: RegExpMatchArray[], name: string): string | undefined {
  return found.find(([, , named]) => named === name)?.[3];
}

const healthy = {
  reachable: "ok",
  info: "ok",
  tokens: "ok",
  WebSockets: "ok",
  ping: "ok",
  announce: "ok",
  barrier: "ok",
  mistake: "ok",
  history: "ok",
  once: "ok",
  resume: "ok",
  presence: "ok",
  POST: "ok",
  events: "ok",
  latency: "ok",
  clock: "ok",
  version: "ok",
  limits: "ok",
  origins: "note",
  exposure: "note",
  compression: "ok",
  rows: "ok",
};

test("a healthy server without tokens, which is noted", async () => {
  const { code, grades, says } = await examine(await urlWith());
  expect([code, grades]).toEqual([0, { ...healthy, tokens: "note" }]);
  expect(says("tokens")).toMatch(/anyone may subscribe, announce and enter; set TOKEN_SECRET/);
});

test("a server without history", async () => {
  const { code, grades, says } = await examine(await urlWith({ HISTORY_SECONDS: "0", CLIENT_LIMIT: "50" }));
  const notes = { tokens: "note", history: "note", once: "note", resume: "note", presence: "note" };
  expect([code, grades]).toEqual([0, { ...healthy, ...notes }]);
  expect(says("history")).toMatch(/HISTORY_SECONDS/);
  expect(says("limits")).toBe("50 connections; 10000 lines per second each, of up to 65536 bytes; no history");
});

test("a hardened server, and one with open settings and broad tokens", async () => {
  const settings = {
    TOKEN_SECRET: SECRET,
    TOKEN_AUDIENCE: "chat",
    ALLOWED_ORIGINS: "https://chat.example",
    CLIENT_LIMIT: "50",
    LINES_PER_SECOND: "1000",
  };
  const url = await urlWith(settings);
  const claims = { subscribe: ["doctor-*"], announce: ["doctor-*"], aud: "chat" };
  const { code, grades } = await examine(url, { FANOUT_TOKEN: await mint(claims) });
  expect([code, grades]).toMatchObject([0, { origins: "ok", grants: "ok", compression: "ok", exposure: "note" }]);
  const operator = await examine(url, { FANOUT_TOKEN: await mint({ ...claims, operate: true }) });
  expect(operator.grades).toMatchObject({ grants: "note", exposure: "ok", rows: "ok" });
  const exp = Math.floor(Date.now() / 1_000) + 30 * 86_400;
  const open = await urlWith({ TOKEN_SECRET: SECRET });
  const long = await examine(open, {
    FANOUT_TOKEN: await mint({ subscribe: ["*"], announce: ["*"], enter: ["*"], operate: true, exp }),
  });
  expect(long.says("grants")).toBe(
    "your token is valid for more than a day; has no audience, so it is valid at all servers with its secret; " +
      "may announce on every channel; may enter under any name, because it has no claim 'sub'; may see the operators' pages; don't give such tokens to users",
  );
  expect(long.says("origins")).toMatch(/^pages of any site may connect; set ALLOWED_ORIGINS/);
  expect(long.says("exposure")).toMatch(
    /^CLIENT_LIMIT allows any number of connections; LINES_PER_SECOND allows 10000/,
  );
});

test("a server that requires tokens: with a valid token, with none, and with insufficient ones", async () => {
  const url = await urlWith({ TOKEN_SECRET: SECRET });
  const env = { FANOUT_TOKEN: await mint({ subscribe: ["doctor-*"], announce: ["doctor-*"] }) };
  expect(await examine(url, env)).toMatchObject({
    code: 0,
    grades: { ...healthy, info: "note", presence: "note", version: "note", limits: "note", rows: "note" },
  });
  const operator = { subscribe: ["doctor-*"], announce: ["doctor-*"], enter: ["doctor-*"], sub: "ann", operate: true };
  expect(await examine(url, { FANOUT_TOKEN: await mint(operator) })).toMatchObject({
    code: 0,
    grades: healthy,
  });
  const { code, grades, says } = await examine(url);
  expect([code, grades]).toEqual([1, { reachable: "ok", info: "note", tokens: "bad" }]);
  expect(says("tokens")).toMatch(/none was given.+'doctor-\*', in FANOUT_TOKEN or --token/);
  for (const claims of [{ subscribe: ["news"] }, { subscribe: ["doctor-*"] }]) {
    const other = await examine(url, { FANOUT_TOKEN: await mint(claims) });
    expect(other.says("tokens")).toMatch(/^your token doesn't grant this channel; give a token/);
  }
  const forged = await examine(url, { FANOUT_TOKEN: await mint({}, `${SECRET}x`) });
  expect(forged.says("tokens")).toMatch(/^the token's signature is wrong; give a token/);
});

test("presence is checked as the token's subject, and not at all if the token or the server doesn't allow it", async () => {
  const claims = { subscribe: ["doctor-*"], announce: ["doctor-*"] };
  const url = await urlWith({ TOKEN_SECRET: SECRET });
  const without = await examine(url, { FANOUT_TOKEN: await mint(claims) });
  expect(without.says("presence")).toMatch(
    /^not checked: your token doesn't grant this channel; its claim 'enter' has/,
  );
  const hostile = await mint({ ...claims, enter: ["doctor-*"], sub: "two words\nping" });
  expect((await examine(url, { FANOUT_TOKEN: hostile })).says("presence")).toMatch(/^not checked: your token's claim/);
  const full = await examine(await urlWith({ MEMBERS_PER_CHANNEL: "0" }));
  expect(full.says("presence")).toMatch(/^not checked: a channel has at most 0 members/);
});

test("a server that is older than presence, and one whose lists of members are wrong", async () => {
  const older = await examine(await startFake({}));
  expect(older.says("presence")).toBe("the server has none, because it is older than this program");
  const right = await examine(await startFake({ hasMembers: true }));
  expect(right.says("presence")).toBe("a member that enters is listed, and its leaving is announced");
  const spoil = () => (line: string) => (line.startsWith("debug!member ") ? [] : [line]);
  const wrong = await examine(await startFake({ hasMembers: true, spoil }));
  expect([wrong.code, wrong.grades.presence]).toEqual([1, "bad"]);
  expect(wrong.says("presence")).toMatch(
    /^the server answers 'debug!members \S+ 1 1' instead of .+ doctor'; see in the/,
  );
});

test("a server that sends wrong replies", async () => {
  const spoil = () => (line: string) => [/^\d+$/.test(line) ? "pong" : line];
  // The right reply never arrives, so wait only briefly.
  const pong = await examine(await startFake({ spoil }), {}, "1");
  expect([pong.code, pong.grades.ping]).toEqual([1, "bad"]);
  expect(pong.says("ping")).toMatch(/^ping is answered with 'pong' instead of Unix seconds; /);
});

test("a server that loses messages, and ignores idempotency keys", async () => {
  const { code, grades, says } = await examine(await startFake({ forgets: true }));
  const good = { WebSockets: "ok", ping: "ok", announce: "ok", barrier: "ok", mistake: "ok", history: "ok" };
  expect([code, grades]).toEqual([1, expect.objectContaining({ ...good, once: "bad", resume: "bad" })]);
  expect(says("resume")).toMatch(/^the server answers 'debug!position .+' instead of '.+!two', '.+!three'; /);
});

test("a wrong clock", async () => {
  const spoil = () => (line: string) => [/^\d+$/.test(line) ? String(Number(line) - 60) : line];
  const { grades, says } = await examine(await startFake({ spoil }));
  expect(grades).toMatchObject({ ping: "ok", clock: "note" });
  expect(says("clock")).toMatch(/^\d+ s behind this machine's/);
});

test("a proxy that forwards requests, but no WebSockets", async () => {
  const server = createServer(({ url }, response) => {
    if (url === "/-/health") response.end("ok\n");
    else response.end(`{"position":1}\n`);
  });
  server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\nno upgrades here\n"));
  onTestFinished(() => void server.close());
  const { code, grades, says } = await examine(await listening(server));
  expect([code, grades]).toMatchObject([1, { WebSockets: "bad", POST: "ok", ping: "note", tokens: "note" }]);
  expect(says("WebSockets")).toMatch(/the upgrade gets 502 no upgrades here, and requests get through/);
});

test("no server: one line, and exit code 6", async () => {
  // One end of a connection occupies the port, so no other program can listen there.
  const server = createTcpServer();
  const { port } = new URL(await listening(server));
  const socket = connect(Number(port), "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, "connect");
  const { code, out } = await run(["doctor", `ws://127.0.0.1:${socket.localPort}`]);
  expect(code).toBe(6);
  expect(out).toMatch(/^bad {2}reachable: the server can't be reached \(.*ECONNREFUSED.*\); check the address.*\n$/);
});
