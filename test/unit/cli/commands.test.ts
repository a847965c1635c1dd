/** What commands print, and what they send. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { runHere } from "./in-process.ts";

const url = "ws://localhost";

/** Replies as a server does on which all is well, and whose channels have one message. */
function healthy(line: string): string[] {
  const [command = "", name = ""] = line.split(" ");
  if (command === "ping") return ["1700000000"];
  if (command === "info") return ["figure: 1", "1700000000"];
  if (command === "subscribe") return [`debug!position ${name} 7`, ...(name === "news" ? ["news!hello"] : [])];
  if (command === "once") return [`debug!once ${name} 8`];
  return [];
}

/** Replies, and never to `ping`. */
const withoutPing = (line: string) => (line === "ping" ? [] : healthy(line));

test.each([[["ping", url]], [["info", url]]])("%j closes its connection", async (words) => {
  expect(await runHere(words, { reply: healthy })).toMatchObject({ code: 0, isClosed: true });
});

test("the benchmark connects its announcer before it subscribes, and reports lost messages", async () => {
  const words = ["bench", url, "--connections", "1", "--seconds", "1", "--rate", "5", "--timeout", "1"];
  const { code, out, sent } = await runHere(words, { reply: healthy });
  expect([code, out]).toEqual([3, expect.stringMatching(/lost/)]);
  expect(sent).toMatch(/ping\n(.*\n)*ping\n(.*\n)*once /);
});

test.each([
  [["revoke", url, "ann", "--json"], '{"sub":"ann","before":1,"objects":2,"unreachable":0}\n'],
  [["revoke", url, "ann"], "revoked ann in 2 objects\n"],
])("%j prints what was revoked", async (words, out) => {
  const respond = async () => Response.json({ before: 1, objects: 2, unreachable: 0 });
  expect(await runHere(words, { respond })).toMatchObject({ code: 0, out, err: "" });
});

test.each([
  [[], "", "fanout: no channel is in use\n"],
  [[{ channel: "news", subscribers: 2, members: null, position: 7 }], "news\t2\t-\t7\n", ""],
])("the channels %j are listed", async (channels, out, err) => {
  const respond = async () => Response.json({ channels, unreachable: 0 });
  expect(await runHere(["channels", url], { respond })).toMatchObject({ code: 0, out, err });
});

test.each([
  [true, "fanout: announced as 8\n"],
  [false, ""],
])("at a terminal: %s, an announced message is confirmed by '%s'", async (isTTY, err) => {
  const before = Object.getOwnPropertyDescriptor(process.stderr, "isTTY") ?? { value: undefined, configurable: true };
  Object.defineProperty(process.stderr, "isTTY", { value: isTTY, configurable: true });
  onTestFinished(() => void Object.defineProperty(process.stderr, "isTTY", before));
  expect(await runHere(["pub", url, "news", "hello"], { reply: healthy })).toMatchObject({ code: 0, out: "", err });
});

test.each([
  [["news"], "hello\n"],
  [["news", "--json"], '{"channel":"news","text":"hello","position":8}\n'],
  [["news", "--raw"], "news!hello\n"],
  [["news", "other"], "news hello\n"],
])("sub %j prints '%s'", async (words, out) => {
  expect(await runHere(["sub", url, ...words, "--count", "1"], { reply: healthy })).toMatchObject({ code: 0, out });
});

test.each([
  [[], 0],
  [["--count", "2"], 130],
  [["--until-caught-up"], 130],
])("sub %j that is interrupted exits with %i", async (words, code) => {
  const ended = await runHere(["sub", url, "news", ...words], { reply: withoutPing, signal: ["SIGINT", "hello"] });
  expect(ended.code).toBe(code);
});

test.each([
  [["--exec", "true"], /--ack is for pipes/],
  [["--on", "news=true"], /--ack is for pipes/],
  [[], /file descriptor 999 can't be read/],
])("sub --ack %j is refused: %s", async (words, why) => {
  const folder = mkdtempSync(join(tmpdir(), "commands-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const acknowledged = ["--cursor", join(folder, "cursor"), "--ack", "999"];
  const { code, err } = await runHere(["sub", url, "news", ...acknowledged, ...words], { reply: healthy });
  expect([code, err]).toEqual([2, expect.stringMatching(why)]);
});

test.each([
  ["127.0.0.1", "http://localhost:1"],
  ["0.0.0.0", "http://0.0.0.0:1 and every other address of this machine"],
  ["::", "http://:::1 and every other address of this machine"],
  ["192.0.2.1", "http://192.0.2.1:1"],
])("a server at %s is named %s, and has no secret unless one is given", async (host, address) => {
  const started = vi.fn(async () => ({
    host,
    port: 1,
    url: `http://${host}:1`,
    ended: new Promise(() => {}),
    stop() {},
  }));
  vi.doMock("../../../src/serve/server.ts", () => ({ startServer: started }));
  vi.doMock("../../../src/serve/runtime.ts", () => ({ findRuntime: async () => "workerd" }));
  onTestFinished(() => {
    vi.doUnmock("../../../src/serve/server.ts");
    vi.doUnmock("../../../src/serve/runtime.ts");
  });
  const { code, out } = await runHere(["serve", "--host", host], { signal: ["SIGTERM", "stop it with"] });
  expect([code, out]).toEqual([0, `Fanout serves ${address}; stop it with Ctrl-C\n`]);
  expect(started).toHaveBeenCalledWith(expect.objectContaining({ host, settings: {} }));
});
