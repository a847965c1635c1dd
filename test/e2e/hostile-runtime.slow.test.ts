/**
 * Attacks on the bare runtime, because the proxy of `wrangler dev` negotiates compression, and keeps connections of lost
 * clients. They must not affect a bystander.
 */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Bystander, OWN } from "./support/bystander.ts";
import { CLOSE, frame, HANDSHAKE, RawClient, request, TEXT } from "./support/raw-client.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";

/** The reserved bit of compressed messages. */
const COMPRESSED = 0x40;

let runtime: Served;
let bystander: Bystander;

beforeAll(async () => {
  runtime = await serve();
  bystander = await Bystander.connect(runtime);
  return runtime.end;
});

// The attacking connections are still open here.
afterEach(() => bystander.receivesMore());

describe("compression isn't negotiated, and closes the connection", { tags: ["frame-types"] }, () => {
  const bomb = deflateRawSync(Buffer.alloc(500_000_000));

  test.each([
    ["a line", frame(TEXT, deflateRawSync("announce echo x"), { reserved: COMPRESSED })],
    ["a bomb", frame(TEXT, bomb, { reserved: COMPRESSED })],
    ["a bomb in two frames", frame(TEXT, bomb, { reserved: COMPRESSED, final: false })],
  ])("%s", async (_, bytes) => {
    const client = await RawClient.connect(runtime);
    client.send(request("/echo", [...HANDSHAKE, "Sec-WebSocket-Extensions: permessage-deflate"]));
    expect((await client.answer()).head).not.toMatch(/extensions/i);
    expect(await client.outcome()).toEqual(["debug!connected..."]);
    client.send(bytes);
    expect(await client.outcome()).toEqual(["closed 1002"]);
  });
});

test("an invalid host is refused", async () => {
  for (const host of ["[", "%%", "a b", "a:99999", "[::1"]) {
    const client = await RawClient.connect(runtime);
    client.send(Buffer.from(`GET /news HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://page.test\r\n\r\n`));
    const { status, head, body } = await client.answer();
    expect([host, status, body]).toEqual([host, 400, "The address isn't a URL; send a valid 'Host'.\n"]);
    expect(head).toMatch(/^fanout-error: invalid\r$/im);
    expect(head).toMatch(/^access-control-allow-origin: \*\r$/im);
  }
});

test("an origin that no browser sends isn't echoed", async () => {
  const { url } = await serveInTest({ settings: { ALLOWED_ORIGINS: "https://page.test" } });
  for (const origin of ["\xff\xfe", "\xc3\xa9", "a b", "x".repeat(50_000), "\x01"]) {
    const client = await RawClient.connect({ url });
    client.send(Buffer.from(`GET /news HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\n\r\n`, "latin1"));
    const { status, head } = await client.answer();
    expect(status).toBe(403);
    expect(head).not.toMatch(/access-control-allow-origin/i);
  }
});

test("an upgrade with several protocols, among which the runtime can't choose, is refused", {
  tags: ["status-426"],
}, async () => {
  for (const offered of ["websocket, h2c", "h2c, WebSocket", "websocket/13"]) {
    const client = await RawClient.connect(runtime);
    const headers = HANDSHAKE.map((header) => (header.startsWith("Upgrade:") ? `Upgrade: ${offered}` : header));
    client.send(request("/a", headers));
    const { status, body } = await client.answer();
    expect([status, body]).toEqual([426, "The request offers several protocols; send 'Upgrade: websocket' only.\n"]);
  }
});

/** Returns one of a few names, often the bystander's, because creating 3,000 objects would take a minute. */
const anyName = () => (randomInt(4) === 0 ? OWN : `room${randomInt(100)}`);

test("1,000 subscriptions of one connection are no longer counted when it closes", async ({ signal }) => {
  const client = await RawClient.upgrade(runtime, OWN);
  const names = Array.from({ length: 1_000 }, () => `room${randomInt(200)}`);
  const commands = names.map((name, i) => `subscribe ${name}\nunsubscribe ${names[i - 200] ?? "none"}\n`);
  client.send(frame(TEXT, commands.join("")));
  expect(await client.outcome()).toEqual([]);
  client.reset();
  await nobodyElseIsCounted(signal);
});

test.for<[string, (client: RawClient) => Promise<unknown>]>([
  ["break off", (client) => client.answer().then(() => client.outcome())],
  [
    "are closed",
    (client) => {
      client.send(frame(CLOSE, [3, 232]));
      return client.ended();
    },
  ],
  ["are cut before they are answered", (client) => client.sent()],
])("of 1,000 connections that %s, none is counted any more", async ([, live], { signal }) => {
  await inCrowds(1_000, async () => {
    const client = await RawClient.connect(runtime);
    client.send(request(`/${anyName()}`));
    await live(client);
    client.reset();
  });
  await nobodyElseIsCounted(signal);
});

/** Repeats an action, with a hundred in parallel. */
async function inCrowds(times: number, act: () => Promise<void>): Promise<void> {
  let left = times;
  const one = async () => {
    while (left-- > 0) await act();
  };
  await Promise.all(Array.from({ length: 100 }, one));
}

/** Waits until `info` counts only the bystander and the client that asks. */
async function nobodyElseIsCounted(signal: AbortSignal): Promise<void> {
  const newcomer = await RawClient.upgrade(runtime, "");
  const expected = [
    "current connections: 2",
    "current channels: 3",
    "current subscriptions: 4",
    "unreachable objects: 0",
  ];
  for (let lines: string[] = []; !expected.every((line) => lines.includes(line)) && !signal.aborted; ) {
    newcomer.send(frame(TEXT, "info"));
    lines = await newcomer.outcome();
    expect(lines.at(-1)).not.toMatch(/^closed/);
    // Otherwise these commands would exceed the rate limit of a connection.
    await sleep(10);
  }
}
