/** Clients of the original protocol behind a bridge, while its server fails. */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { addressOf, type BridgeOptions, bridge } from "../../src/bridge/bridge.ts";
import { Network } from "../../tools/faults/network.ts";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { SECRET } from "../runtime/support/mint.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { dial, isForTcp, tcpTo } from "./support/tcp.ts";

let runtime: Served;
let network: Network;
let address: string;

beforeAll(async () => {
  runtime = await serve();
  network = await Network.start(() => runtime.url);
  const server = await bridge({ to: network.url, host: "127.0.0.1", port: 0 });
  address = addressOf(server);
  return async () => {
    server.close();
    network.stop();
    await runtime.end();
  };
});

async function bridgeTo(to: string, options: Pick<BridgeOptions, "maxClients"> = {}): Promise<string> {
  const server = await bridge({ to, host: "127.0.0.1", port: 0, ...options });
  onTestFinished(() => void server.close());
  return addressOf(server);
}

let names = 0;
const unique = () => `bridge-${++names}`;

/** Connects a client and reads the greeting; `read` returns its next line, or undefined at the end. */
async function connect(at = address) {
  const socket = await dial(at);
  onTestFinished(() => void socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const read = async (): Promise<string | undefined> => (await lines.next()).value;
  expect(await read()).toBe("debug!connected...");
  return { socket, read };
}

/** Resolves when all of a client's commands have taken effect. */
async function settled({ socket, read }: Awaited<ReturnType<typeof connect>>): Promise<void> {
  socket.write("ping\n");
  expect(await read()).toMatch(/^\d{10}$/);
}

/** Connects a client that is subscribed to a channel. */
async function subscriber(channel: string) {
  const client = await connect();
  client.socket.write(`subscribe ${channel}\n`);
  await settled(client);
  return client;
}

describe("the original protocol", () => {
  const some = cases.filter(isForTcp);
  test("has many transcripts", () => expect(some.length).toBeGreaterThan(5));
  for (const testCase of some) test(testCase.title, () => runCase(testCase, tcpTo(address)));
});

/** Returns the number of a channel's subscribers, from the operators' pages. */
async function listenersOf(channel: string): Promise<number> {
  const url = runtime.url.replace(/^ws/, "http");
  const page = await (await fetch(`${url}/-/channels/${channel}`)).text();
  return Number(/"listeners":(\d+)/.exec(page)?.[1]);
}

async function post(channel: string, body: string, server = runtime): Promise<void> {
  const url = server.url.replace(/^ws/, "http");
  expect((await fetch(`${url}/${channel}`, { method: "POST", body })).status).toBe(200);
}

test("failures of the server go unnoticed: no message is lost or repeated", { tags: ["bridge-resumes"] }, async () => {
  const chat = unique();
  const [alice, bob] = [await subscriber(chat), await connect()];
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

test("messages are unchanged, however their bytes are split; invalid UTF-8 is replaced", async () => {
  const chat = unique();
  const client = await connect();
  const text = `subscribe ${chat}\r\nannounce ${chat} größer 🎉 \u0001\nannounce ${chat} x!y  z \r\nping\n`;
  for (const byte of Buffer.from(text)) client.socket.write(Buffer.from([byte]));
  expect(await client.read()).toBe(`${chat}!größer 🎉 \u0001`);
  expect(await client.read()).toBe(`${chat}!x!y  z `);
  expect(await client.read()).toMatch(/^\d{10}$/);
  client.socket.write(Buffer.concat([Buffer.from(`announce ${chat} a`), Buffer.from([0xff, 0x0a])]));
  expect(await client.read()).toBe(`${chat}!a\ufffd`);
});

test("an invalid command gets one line, and the connection continues", async () => {
  const client = await connect();
  client.socket.write("shout\nsubscribe a!b\nannounce debug x\nonce k a b\n\n");
  expect(await client.read()).toMatch(/^debug!error invalid shout: unknown command/);
  expect(await client.read()).toMatch(/^debug!error invalid subscribe a!b: /);
  expect(await client.read()).toMatch(/^debug!error invalid announce debug: /);
  expect(await client.read()).toBe("debug!error invalid once k: the original protocol doesn't have this command");
  await settled(client);
});

test("commands that the original protocol doesn't have aren't forwarded, and are refused by name and channel", async () => {
  const chat = unique();
  const client = await connect();
  const why = "the original protocol doesn't have this command";
  client.socket.write(`enter ${chat} ann {"a":1}\nleave ${chat}\nmembers ${chat}\nenter ${chat}\n`);
  for (const command of ["enter", "leave", "members"]) {
    expect(await client.read()).toBe(`debug!error invalid ${command} ${chat}: ${why}`);
  }
  expect(await client.read()).toBe(`debug!error invalid enter ${chat}: the name of a member is missing`);
  await settled(client);
});

test("a line without an end is refused", async () => {
  const client = await connect();
  await settled(client);
  client.socket.write("x".repeat(1_100_000));
  expect(await client.read()).toBe("debug!error limit line: a line has at most 1000000 characters");
  client.socket.write(`${"x".repeat(1_100_000)} is still that line\n`);
  await settled(client);
});

test("a client that ends its side at once has still announced, and then the bridge ends its side", async () => {
  const chat = unique();
  const alice = await subscriber(chat);
  const bob = await dial(address);
  bob.end(`announce ${chat} by the way\n`);
  bob.resume();
  await once(bob, "close");
  expect(await alice.read()).toBe(`${chat}!by the way`);
});

test("a client that ends its side receives the greeting and its replies, and no error", async () => {
  const client = await connect();
  client.socket.end("ping\n");
  expect(await client.read()).toMatch(/^\d{10}$/);
  expect(await client.read()).toBeUndefined();
});

test("a last line without an end is dropped, as the original does", async () => {
  const chat = unique();
  const alice = await subscriber(chat);
  const bob = await connect();
  bob.socket.end(`announce ${chat} whole\nannounce ${chat} cut off`);
  expect(await bob.read()).toBeUndefined();
  expect(await alice.read()).toBe(`${chat}!whole`);
  await settled(alice);
});

describe("a connection is closed, and nothing is executed, if it begins like", { tags: ["bridge-browsers"] }, () => {
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
    const alice = await subscriber(chat);
    const stranger = await dial(address);
    // Closing a connection with unread data resets it.
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
  const client = await connect();
  client.socket.write(`subscribe ${chat}\nannounce ${chat} POST / HTTP/1.1\nPOST / HTTP/1.1\n`);
  expect([await client.read(), await client.read()].sort()).toEqual([
    `${chat}!POST / HTTP/1.1`,
    expect.stringMatching(/^debug!error invalid line: /),
  ]);
});

test("a program that uses only the first line of each read gets its replies", async () => {
  const chat = unique();
  const socket = await dial(address);
  onTestFinished(() => void socket.destroy());
  socket.write(`subscribe ${chat}\n`);
  // Each read returns everything received since the last one.
  const reads = socket[Symbol.asyncIterator]();
  const read = async () => String((await reads.next()).value).split("\n")[0];
  expect(await read()).toBe("debug!connected...");
  socket.write("ping\n");
  expect(await read()).toMatch(/^\d{10}$/);
  await post(chat, "changed");
  expect(await read()).toBe(`${chat}!changed`);
});

test("a slow client delays no others, and misses no messages", { tags: ["bridge-slow"] }, async () => {
  const chat = unique();
  const [slow, quick] = [await dial(address), await connect()];
  onTestFinished(() => void slow.destroy());
  slow.write(`subscribe ${chat}\n`);
  quick.socket.write(`subscribe ${chat}\n`);
  await expect.poll(() => listenersOf(chat)).toBe(2);
  const filling = "x".repeat(50_000);
  let count = 0;
  const announce = async () => {
    await post(chat, `${count} ${filling}`);
    expect(await quick.read()).toBe(`${chat}!${count++} ${filling}`);
  };
  await settled(quick);
  // Until the buffers of the bridge and the machine are full.
  while ((await listenersOf(chat)) > 1) await announce();
  for (let i = 0; i < 4; i++) await announce();
  const lines = createInterface({ input: slow })[Symbol.asyncIterator]();
  const read = async () => String((await lines.next()).value);
  expect(await read()).toBe("debug!connected...");
  for (let i = 0; i < count; i++) expect(await read()).toBe(`${chat}!${i} ${filling}`);
});

test("a full bridge refuses further clients with a line, until one leaves", async () => {
  const at = await bridgeTo(runtime.url, { maxClients: 2 });
  const [leaving, staying] = [await connect(at), await connect(at)];
  const refused = await dial(at);
  onTestFinished(() => void refused.destroy());
  const lines = createInterface({ input: refused })[Symbol.asyncIterator]();
  expect(await lines.next()).toMatchObject({ value: "debug!busy" });
  expect(await lines.next()).toMatchObject({ done: true });
  leaving.socket.end();
  // The bridge ends its side when it has finished with the client.
  expect(await leaving.read()).toBeUndefined();
  await settled(await connect(at));
  await settled(staying);
});

test("without history, a lost connection to the server closes the client's, as a crash of the original would", {
  tags: ["bridge-gap"],
}, async () => {
  const server = await serveInTest({ settings: { HISTORY_SECONDS: "0" } });
  const client = await connect(await bridgeTo(server.url));
  await settled(client);
  await server.kill();
  expect(await client.read()).toBeUndefined();
});

test("so do expired messages", async () => {
  const server = await serveInTest({ settings: { HISTORY_BYTES: "1000" } });
  // Nothing listens at the other address.
  let isUnreachable = false;
  const proxy = await Network.start(() => (isUnreachable ? "ws://127.0.0.1:1" : server.url));
  onTestFinished(() => proxy.stop());
  const client = await connect(await bridgeTo(proxy.url));
  await settled(client);
  isUnreachable = true;
  proxy.cut();
  for (let i = 0; i < 40; i++) await post("all", "x".repeat(100), server);
  isUnreachable = false;
  expect(await client.read()).toBeUndefined();
});

test("if the server refuses the connection, the client gets the reason, and its connection ends", async () => {
  const server = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const client = await dial(await bridgeTo(server.url));
  onTestFinished(() => void client.destroy());
  expect((await text(client)).split("\n")).toEqual([
    expect.stringMatching(/^debug!error forbidden connect: a token is missing/),
    "",
  ]);
});
