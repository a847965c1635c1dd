/** The client library, with a server that is killed, and a network that breaks. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, createServer as createNetServer } from "node:net";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import { environmentOf } from "../../src/client/environment.ts";
import { type Change, Fanout, type Gap, type Message, type Subscription } from "../../src/client/fanout.ts";
import { Network } from "../../tools/faults/network.ts";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

/** Most bytes of the compressed library, without `json`. */
const MAX_BYTES = 11_050;

const browser = find("chromium", "apt-get install chromium");

let runtime: Served;

beforeAll(async () => {
  runtime = await serve();
  return runtime.end;
});

let names = 0;
const unique = () => `client-${++names}`;

/** Creates a client that is closed after the test. */
function fanout(url = runtime.url, options = {}): Fanout {
  const client = new Fanout(url, options);
  onTestFinished(() => client.close());
  return client;
}

/** Returns the next messages of a subscription. */
async function take(subscription: Subscription, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of subscription) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

/** Resolves when a subscription is live. */
async function live(subscription: Subscription): Promise<void> {
  await expect.poll(() => subscription.state).toBe("subscribed");
}

test("a client subscribes and announces", async () => {
  const chat = unique();
  const [alice, bob] = [fanout(), fanout()];
  const subscription = alice.subscribe(chat);
  await live(subscription);
  const reading = take(subscription, 2);
  const position = await bob.announce(chat, "hello");
  expect(await bob.announce(chat, "again")).toBe((position ?? 0) + 1);
  expect(await reading).toEqual([
    { channel: chat, text: "hello", data: "hello", position },
    { channel: chat, text: "again", data: "again", position: (position ?? 0) + 1 },
  ]);
  expect(subscription.state).toBe("unsubscribed");
  expect(await bob.ping()).toBeGreaterThan(0);
  expect(Number((await bob.info()).get("current connections"))).toBeGreaterThan(1);
});

test("clients receive `all` only if they subscribe to it", async () => {
  const client = fanout();
  const chat = client.subscribe(unique());
  await live(chat);
  const all = client.subscribe("all");
  await live(all);
  const reading = take(all, 1);
  await client.announce("all", "to everyone");
  expect(await reading).toMatchObject([{ channel: "all", text: "to everyone" }]);
});

test("several subscriptions to a channel share one, and each receives all messages", async () => {
  const chat = unique();
  const client = fanout();
  const [first, second] = [client.subscribe(chat), client.subscribe(chat)];
  await live(second);
  const reading = [take(first, 1), take(second, 2)];
  await client.announce(chat, "a");
  await reading[0];
  await client.announce(chat, "b");
  expect((await Promise.all(reading)).map((messages) => messages.map(({ text }) => text))).toEqual([["a"], ["a", "b"]]);
});

test("any client can resume from a position", async () => {
  const chat = unique();
  const client = fanout();
  const subscription = client.subscribe(chat);
  await live(subscription);
  await client.announce(chat, "1");
  await expect.poll(() => client.position(chat)).toBe(subscription.position);
  const since = client.position(chat);
  subscription.unsubscribe();
  for (const text of ["2", "3"]) await client.announce(chat, text);
  const positions: number[] = [];
  const later = fanout().subscribe(chat, { since, onPosition: (position) => positions.push(position) });
  expect((await take(later, 2)).map(({ text }) => text)).toEqual(["2", "3"]);
  expect(positions).toEqual([(since ?? 0) + 1, (since ?? 0) + 2]);
});

test("a new client receives the newest messages first", async () => {
  const chat = unique();
  const writer = fanout();
  for (const text of ["1", "2", "3"]) await writer.announce(chat, text);
  expect((await take(fanout().subscribe(chat, { last: 2 }), 2)).map(({ text }) => text)).toEqual(["2", "3"]);
});

test("expired messages are reported as a gap", async () => {
  const gaps: Gap[] = [];
  const chat = unique();
  const subscription = fanout().subscribe(chat, { since: 5, onGap: (gap) => gaps.push(gap) });
  await live(subscription);
  expect(gaps).toEqual([{ channel: chat, from: 5, to: subscription.position }]);
});

describe.each<[name: string, start: (target: () => string) => Promise<TestNetwork>]>([
  ["by WebSocket", Network.start],
  ["by requests alone", withoutUpgrades],
])("%s", (_, start) => {
  test("it resumes without loss, and announces once, despite failures", async () => {
    const server = await serveInTest();
    const network = await start(() => server.url);
    onTestFinished(() => network.stop());
    const [reader, writer] = [fanout(network.url), fanout(network.url)];
    const channels = [await read(reader), await read(reader)];
    const texts = Array.from({ length: 24 }, (_, i) => `message ${i}`);
    const announced: Promise<number | undefined>[] = [];
    const fail = async (i: number) => {
      if (i % 8 === 4) network.cut();
      if (i === 16) await server.restart();
    };
    for (const [i, text] of texts.entries()) {
      for (const { channel } of channels) announced.push(writer.announce(channel, text));
      await fail(i);
      if (i % 5 === 0) await announced.at(-1);
    }
    await Promise.all(announced);
    for (const { messages, gaps } of channels) {
      await expect.poll(() => messages.length).toBe(texts.length);
      expect(messages.map(({ text }) => text)).toEqual(texts);
      const [{ position: first } = { position: 0 }] = messages;
      expect(messages.map(({ position }) => position)).toEqual(texts.map((_, i) => Number(first) + i));
      expect(gaps).toEqual([]);
    }
  });
});

test("members stay present despite failures, and every roster has the truth", async () => {
  const server = await serveInTest();
  const network = await Network.start(() => server.url);
  onTestFinished(() => network.stop());
  const room = unique();
  const watcher = fanout(network.url);
  const changes: string[] = [];
  const members = watcher.members(room);
  members.on("added", ({ member, data }) => void changes.push(`+${member} ${data}`));
  members.on("updated", ({ member, data }) => void changes.push(`=${member} ${data}`));
  members.on("removed", ({ member }) => void changes.push(`-${member}`));
  await members.ready;
  const clients = ["ann", "bob", "carl"].map((name) => ({ name, client: fanout(network.url) }));
  await Promise.all(clients.map(({ name, client }) => client.enter(room, name, "1")));
  await expect.poll(() => [...members.current.keys()].sort()).toEqual(["ann", "bob", "carl"]);
  for (let i = 0; i < 4; i++) {
    network.cut();
    if (i === 2) await server.restart();
    const [ann] = clients;
    await ann?.client.enter(room, "ann", `update ${i}`);
  }
  await expect.poll(() => members.current.get("ann")).toBe("update 3");
  await Promise.all(clients.map(({ client }) => client.ping()));
  expect(changes.filter((change) => change.startsWith("-"))).toEqual([]);
  await clients[1]?.client.leave(room);
  await expect.poll(() => [...members.current.keys()].sort()).toEqual(["ann", "carl"]);
  const { value } = await watcher.members(room)[Symbol.asyncIterator]().next();
  expect(value).toEqual({ kind: "added", channel: room, member: "ann", data: "update 3" });
  expect(changes.filter((change) => change.startsWith("+") || change.startsWith("-"))).toHaveLength(4);
});

test("a client that can't use WebSockets can't enter", async () => {
  const { url } = await withoutUpgrades(() => runtime.url);
  await expect(fanout(url).enter(unique(), "ann")).rejects.toMatchObject({
    code: "unavailable",
    message: "presence needs a WebSocket",
  });
});

test("a client that can't use WebSockets follows the members", async () => {
  const room = unique();
  const { url } = await withoutUpgrades(() => runtime.url);
  const [member, watcher] = [fanout(), fanout(url)];
  await member.enter(room, "ann", "x  y");
  const members = watcher.members(room);
  await members.ready;
  expect([...members.current]).toEqual([["ann", "x  y"]]);
  await member.leave(room);
  await expect.poll(() => members.current.size).toBe(0);
});

/** Subscribes to a new channel, and records its messages and gaps. */
async function read(client: Fanout): Promise<{ channel: string; messages: Message[]; gaps: Gap[] }> {
  const channel = unique();
  const messages: Message[] = [];
  const gaps: Gap[] = [];
  const onMessage = (message: Message) => void messages.push(message);
  await live(client.subscribe(channel, { onMessage, onGap: (gap) => void gaps.push(gap) }));
  return { channel, messages, gaps };
}

test("states report failures, and hopeless attempts aren't retried", async () => {
  const locked = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const changes: Change[] = [];
  const outsider = fanout(locked.url, { onState: (change: Change) => void changes.push(change) });
  await expect(outsider.announce("chat", "x")).rejects.toMatchObject({
    code: "forbidden",
    message: expect.stringMatching(/^a token is missing; send it as/),
  });
  expect(changes).toMatchObject([
    { state: "connecting", willRetry: true },
    {
      state: "failed",
      code: 401,
      willRetry: false,
      reason: expect.stringMatching(/^forbidden: a token is missing; send it as/),
    },
  ]);
  const token = await mint({ subscribe: ["chat"], announce: ["chat"] });
  const member = fanout(locked.url, { token: async () => token });
  expect(await member.announce("chat", "x")).toBeGreaterThan(0);
  await expect(member.announce("news", "x")).rejects.toMatchObject({
    code: "forbidden",
    message: "your token doesn't grant this channel; its claim 'announce' has to list it",
  });
  await expect(take(member.subscribe("news"), 1)).rejects.toMatchObject({
    code: "forbidden",
    message: "your token doesn't grant this channel; its claim 'subscribe' has to list it",
  });
  await expect(member.info()).rejects.toMatchObject({
    code: "forbidden",
    message: "your token lacks the claim 'operate'",
  });
});

test("a token is renewed before its expiry, without a reconnect", async () => {
  const locked = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  let tokens = 0;
  const changes: Change[] = [];
  const token = () => {
    tokens += 1;
    return mint({ subscribe: ["*"], announce: ["*"], exp: Math.floor(Date.now() / 1_000) + 2 });
  };
  const client = fanout(locked.url, { token, onState: (change: Change) => void changes.push(change) });
  const subscription = client.subscribe("chat");
  await live(subscription);
  await expect.poll(() => tokens).toBeGreaterThan(3);
  expect(await client.announce("chat", "x")).toBe(subscription.position);
  expect(changes.map(({ state }) => state)).toEqual(["connecting", "connected"]);
});

test.each([
  ["by WebSocket", {}],
  ["by requests alone", { WebSocket: undefined }],
])("a revoked client stays away until it has a new token, %s", async (_, given) => {
  const locked = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
  const iat = Math.floor(Date.now() / 1_000);
  const grants = { subscribe: ["*"], announce: ["*"], sub: "ann" };
  const changes: Change[] = [];
  let asked = 0;
  const token = () => {
    asked += 1;
    return mint({ ...grants, iat: iat - 10 });
  };
  const environment = { ...environmentOf({}), ...given };
  const onState = (change: Change) => void changes.push(change);
  const client: Fanout = new Client<string>(locked.url, { token, onState }, environment);
  onTestFinished(() => client.close({ within: 0 }));
  const subscription = client.subscribe("chat");
  await live(subscription);
  const reading = take(subscription, 2);
  await client.announce("chat", "before");
  const headers = { Authorization: `Bearer ${await mint({ operate: true })}` };
  const revoke = `${locked.url.replace(/^ws/, "http")}/-/revoke`;
  expect((await fetch(revoke, { method: "POST", headers, body: '{"sub": "ann"}' })).status).toBe(200);
  await expect.poll(() => client.state).toBe("failed");
  expect(changes.at(-1)?.reason).toBe("revoked: your token was revoked; get a new one");
  expect([subscription.state, asked]).toEqual(["subscribing", 1]);
  await expect(client.announce("chat", "x")).rejects.toMatchObject({ code: "revoked" });
  const other = fanout(locked.url, { token: await mint({ ...grants, sub: "bob" }) });
  await other.announce("chat", "meanwhile");
  client.setToken(await mint({ ...grants, iat: iat + 30 }));
  expect((await reading).map(({ text }) => text)).toEqual(["before", "meanwhile"]);
  expect(asked).toBe(1);
});

/**
 * Bundles the library for browsers: the file that a page loads first, and the one for networks that block WebSockets.
 * @param names the names that the program imports
 */
async function modules(names = "*"): Promise<Map<string, Uint8Array>> {
  const resolveDir = fileURLToPath(new URL("../../src/client", import.meta.url));
  const stdin = { contents: `export ${names} from "./fanout.ts"`, resolveDir };
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", splitting: true } as const;
  const { outputFiles } = await build({ ...options, stdin, outdir: "/", write: false });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

test.each([
  ["{ Fanout, Refused }", MAX_BYTES],
  ["*", MAX_BYTES + 200],
])("a page that imports %s first loads less than %i compressed bytes", async (names, most) => {
  const files = await modules(names);
  expect([...files.keys()].sort()).toEqual([expect.stringMatching(/^\/requests-\w+\.js$/), "/stdin.js"]);
  const first = files.get("/stdin.js") ?? "";
  expect(gzipSync(first, { level: 9 }).length).toBeLessThan(most);
});

test.each([
  ["README.md", /weighs (\d+) kB compressed/],
  ["src/client/README.md", /weighs (\d+) kB\scompressed/],
])("%s says what the library weighs", async (page, sentence) => {
  const text = await readFile(new URL(`../../${page}`, import.meta.url), "utf8");
  const first = (await modules("{ Fanout, Refused }")).get("/stdin.js") ?? "";
  const kilobytes = Math.round(gzipSync(first, { level: 9 }).length / 1_000);
  expect(Number(sentence.exec(text)?.[1])).toBe(kilobytes);
});

test.skipIf(!browser)("it works in a browser, also after a network failure", async () => {
  const code = await modules();
  const pages = createServer(({ url = "" }, response) => {
    response.setHeader("Content-Type", code.has(url) ? "text/javascript" : "text/html");
    response.end(code.get(url) ?? "<!doctype html>");
  });
  onTestFinished(() => void pages.close());
  const network = await Network.start(() => runtime.url);
  onTestFinished(() => network.stop());
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage();
  await page.goto(await listening(pages));
  const chat = unique();
  await page.evaluate(`import("/stdin.js").then(async ({ Fanout }) => {
    window.read = [];
    window.fanout = new Fanout(${JSON.stringify(network.url)});
    window.chat = window.fanout.subscribe(${JSON.stringify(chat)}, { onMessage: ({ text }) => window.read.push(text) });
    await window.fanout.announce(${JSON.stringify(chat)}, "from a page");
  })`);
  await page.waitForFunction("window.chat.state === 'subscribed' && window.fanout.position(window.chat.channel) > 0");
  network.cut();
  await fanout().announce(chat, "while offline");
  await page.waitForFunction("window.read.includes('while offline')", undefined, { timeout: 60_000 });
  expect(await page.evaluate("window.read.filter((text) => text === 'while offline').length")).toBe(1);
});

/** The network functions that tests use. */
type TestNetwork = Pick<Network, "url" | "cut" | "stop">;

/** Starts a network that blocks WebSockets. */
async function withoutUpgrades(target: () => string): Promise<TestNetwork> {
  const network = await Network.start(target);
  const server = createNetServer((client) => {
    const { port } = new URL(network.url);
    const upstream = connect(Number(port), "127.0.0.1");
    client.on("data", (data) => {
      if (/^upgrade: websocket/im.test(data.toString("latin1"))) client.destroy();
      else upstream.write(data);
    });
    upstream.pipe(client);
    for (const socket of [client, upstream]) {
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      socket.on("error", end).on("close", end);
    }
  });
  const url = await listening(server);
  const stop = async () => {
    server.close();
    network.stop();
  };
  return { url, cut: () => network.cut(), stop };
}
