/** Programs that speak the original protocol, by a bridge, while the far side breaks. */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bridge, placeOf } from "../../src/bridge/bridge.ts";
import { Network } from "../../tools/faults/network.ts";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { SECRET } from "../runtime/support/mint.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { dial, isForTcp, tcpTo } from "./support/tcp.ts";

let runtime: Served;
let network: Network;
let place: string;

beforeAll(async () => {
  runtime = await serve();
  network = await Network.start(() => runtime.url);
  const server = await bridge({ to: network.url, host: "127.0.0.1", port: 0 });
  place = placeOf(server);
  return async () => {
    server.close();
    network.stop();
    await runtime.end();
  };
});

async function bridgeTo(to: string): Promise<string> {
  const server = await bridge({ to, host: "127.0.0.1", port: 0 });
  onTestFinished(() => void server.close());
  return placeOf(server);
}

let names = 0;
const unique = () => `bridge-${++names}`;

/** A guest that has been greeted, and what reads its next line; undefined at the end. */
async function enter(at = place) {
  const socket = await dial(at);
  onTestFinished(() => void socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const read = async (): Promise<string | undefined> => (await lines.next()).value;
  expect(await read()).toBe("debug!connected...");
  return { socket, read };
}

/** Ends when all that a guest has said has taken effect. */
async function settled({ socket, read }: Awaited<ReturnType<typeof enter>>): Promise<void> {
  socket.write("ping\n");
  expect(await read()).toMatch(/^\d{10}$/);
}

describe("what the original's clients say and read", () => {
  const some = cases.filter(isForTcp);
  test("is in many cases", () => expect(some.length).toBeGreaterThan(5));
  for (const testCase of some) test(testCase.title, () => runCase(testCase, tcpTo(place)));
});

/** Of a channel, as the server tells its operators. */
async function listenersOf(channel: string): Promise<number> {
  const url = runtime.url.replace(/^ws/, "http");
  const page = await (await fetch(`${url}/-/channels/${channel}`)).text();
  return Number(/"listeners":(\d+)/.exec(page)?.[1]);
}

async function post(channel: string, body: string, server = runtime): Promise<void> {
  const url = server.url.replace(/^ws/, "http");
  expect((await fetch(`${url}/${channel}`, { method: "POST", body })).status).toBe(200);
}

test("what breaks on the far side is not noticed: nothing is lost, and nothing comes twice", async () => {
  const chat = unique();
  const [alice, bob] = [await enter(), await enter()];
  alice.socket.write(`subscribe ${chat}\n`);
  await settled(alice);
  for (let i = 0; i < 60; i++) {
    bob.socket.write(`announce ${chat} ${i}\n`);
    if (i % 10 === 3) network.cut();
    if (i % 10 === 7) expect(await alice.read()).toBe(`${chat}!${(i - 7) / 10}`);
    if (i !== 30) continue;
    await runtime.restart();
  }
  for (let i = 6; i < 60; i++) expect(await alice.read()).toBe(`${chat}!${i}`);
  await settled(alice);
  await settled(bob);
});

test("bytes come as they are, however they are cut; what is no UTF-8 is told so", async () => {
  const chat = unique();
  const guest = await enter();
  const text = `subscribe ${chat}\r\nannounce ${chat} größer 🎉 \u0001\nannounce ${chat} x!y  z \r\nping\n`;
  for (const byte of Buffer.from(text)) guest.socket.write(Buffer.from([byte]));
  expect(await guest.read()).toBe(`${chat}!größer 🎉 \u0001`);
  expect(await guest.read()).toBe(`${chat}!x!y  z `);
  expect(await guest.read()).toMatch(/^\d{10}$/);
  guest.socket.write(Buffer.concat([Buffer.from(`announce ${chat} a`), Buffer.from([0xff, 0x0a])]));
  expect(await guest.read()).toBe(`${chat}!a\ufffd`);
});

test("what is wrong gets one line, and the connection goes on", async () => {
  const guest = await enter();
  guest.socket.write("shout\nsubscribe a!b\nannounce debug x\nonce k a b\n\n");
  expect(await guest.read()).toMatch(/^debug!error invalid shout: unknown command/);
  expect(await guest.read()).toMatch(/^debug!error invalid subscribe a!b: /);
  expect(await guest.read()).toMatch(/^debug!error invalid announce debug: /);
  expect(await guest.read()).toBe(
    "debug!error invalid once k: the original protocol doesn't have this command",
  );
  await settled(guest);
});

test("a line without an end is not read for ever", async () => {
  const guest = await enter();
  await settled(guest);
  guest.socket.write("x".repeat(1_100_000));
  expect(await guest.read()).toBe("debug!error limit line: a line has at most 1000000 characters");
  guest.socket.write(`${"x".repeat(1_100_000)} is still that line\n`);
  await settled(guest);
});

test("who ends its side at once has announced all the same, and the other side ends then", async () => {
  const chat = unique();
  const alice = await enter();
  alice.socket.write(`subscribe ${chat}\n`);
  await settled(alice);
  const bob = await dial(place);
  bob.end(`announce ${chat} by the way\n`);
  bob.resume();
  await once(bob, "close");
  expect(await alice.read()).toBe(`${chat}!by the way`);
});

test("a guest that ends its side reads the greeting and its answers, and no error", async () => {
  const guest = await enter();
  guest.socket.end("ping\n");
  expect(await guest.read()).toMatch(/^\d{10}$/);
  expect(await guest.read()).toBeUndefined();
});

test("a last line without an end is dropped, as the original does", async () => {
  const chat = unique();
  const alice = await enter();
  alice.socket.write(`subscribe ${chat}\n`);
  await settled(alice);
  const bob = await enter();
  bob.socket.end(`announce ${chat} whole\nannounce ${chat} cut off`);
  expect(await bob.read()).toBeUndefined();
  expect(await alice.read()).toBe(`${chat}!whole`);
  await settled(alice);
});

describe("a connection is dropped, and nothing is executed, if it begins like", () => {
  const openings = {
    "a request": "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a WebSocket": "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/0.9": "GET /\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\n",
    "a request whose method a rebound page chose": "announce /x HTTP/1.1\r\n",
    "a request with such a method and a long address": `announce /${"x".repeat(1_100_000)} HTTP/1.1\r\n`,
    "a request after blank lines": "\r\n\r\n-x /x HTTP/1.0\r\n",
    SMTP: "EHLO example.com\r\n",
    TLS: "\x16\x03\x01\x02\x00\n",
    "TURN over TCP": "\x00\x03\x00\x08\n",
    "SSL 2": "\x80\x2e\x01\n",
  };
  test.each(Object.entries(openings))("%s", async (_, opening) => {
    const chat = unique();
    const alice = await enter();
    alice.socket.write(`subscribe ${chat}\n`);
    await settled(alice);
    const stranger = await dial(place);
    // A connection that is dropped with unread data is reset.
    stranger.on("error", () => {}).resume();
    const closed = new Promise((resolve) => stranger.once("close", resolve));
    stranger.write(Buffer.from(`${opening}announce ${chat} forged\n`, "latin1"));
    await closed;
    await post(chat, "next");
    expect(await alice.read()).toBe(`${chat}!next`);
  });
});

test("the text of a request may be announced", async () => {
  const chat = unique();
  const guest = await enter();
  guest.socket.write(`subscribe ${chat}\nannounce ${chat} POST / HTTP/1.1\nPOST / HTTP/1.1\n`);
  expect([await guest.read(), await guest.read()].sort()).toEqual([
    `${chat}!POST / HTTP/1.1`,
    expect.stringMatching(/^debug!error invalid line: /),
  ]);
});

test("a program that reads what comes at a time, and takes its first line, gets its answers", async () => {
  const chat = unique();
  const socket = await dial(place);
  onTestFinished(() => void socket.destroy());
  socket.write(`subscribe ${chat}\n`);
  // Each time all that has come since.
  const reads = socket[Symbol.asyncIterator]();
  const read = async () => String((await reads.next()).value).split("\n")[0];
  expect(await read()).toBe("debug!connected...");
  socket.write("ping\n");
  expect(await read()).toMatch(/^\d{10}$/);
  await post(chat, "changed");
  expect(await read()).toBe(`${chat}!changed`);
});

test("who reads slowly makes nobody wait, and misses nothing", async () => {
  const chat = unique();
  const [slow, quick] = [await dial(place), await enter()];
  onTestFinished(() => void slow.destroy());
  slow.write(`subscribe ${chat}\n`);
  quick.socket.write(`subscribe ${chat}\n`);
  await expect.poll(() => listenersOf(chat), { timeout: 30_000 }).toBe(2);
  const filling = "x".repeat(50_000);
  let count = 0;
  const announce = async () => {
    await post(chat, `${count} ${filling}`);
    expect(await quick.read()).toBe(`${chat}!${count++} ${filling}`);
  };
  await settled(quick);
  // Until what the bridge keeps for it is full, and what the machine does.
  while ((await listenersOf(chat)) > 1) await announce();
  for (let i = 0; i < 4; i++) await announce();
  const lines = createInterface({ input: slow })[Symbol.asyncIterator]();
  const read = async () => String((await lines.next()).value);
  expect(await read()).toBe("debug!connected...");
  for (let i = 0; i < count; i++) expect(await read()).toBe(`${chat}!${i} ${filling}`);
});

test("where nothing is kept a connection that breaks off ends the guest's, as a crash would", async () => {
  const server = await serveInTest({ settings: { HISTORY_SECONDS: "0" } });
  const guest = await enter(await bridgeTo(server.url));
  await settled(guest);
  await server.kill();
  expect(await guest.read()).toBeUndefined();
});

test("so do messages that are not kept any more", async () => {
  const server = await serveInTest({ settings: { HISTORY_BYTES: "1000" } });
  // Nobody listens at the other place.
  let isAway = false;
  const way = await Network.start(() => (isAway ? "ws://127.0.0.1:1" : server.url));
  onTestFinished(() => way.stop());
  const guest = await enter(await bridgeTo(way.url));
  await settled(guest);
  isAway = true;
  way.cut();
  for (let i = 0; i < 40; i++) await post("all", "x".repeat(100), server);
  isAway = false;
  expect(await guest.read()).toBeUndefined();
});

test("where nobody is let in the reason is told, and the connection ends", async () => {
  const server = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const guest = await dial(await bridgeTo(server.url));
  onTestFinished(() => void guest.destroy());
  expect((await text(guest)).split("\n")).toEqual([
    expect.stringMatching(/^debug!error forbidden connect: a token is missing/),
    "",
  ]);
});
