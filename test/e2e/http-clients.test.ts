/** Third-party HTTP clients, through `wrangler dev` and with the bare runtime. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { EventSource } from "eventsource";
import { chromium } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Network } from "../../tools/faults/network.ts";
import { listening } from "./support/listening.ts";
import { serve } from "./support/serve.ts";
import { startServer } from "./support/server.ts";
import { find } from "./support/tools.ts";

const curl = find("curl", "apt-get install curl");
const promtool = find("promtool", "apt-get install prometheus");
const browser = find("chromium", "apt-get install chromium");

let names = 0;
const unique = () => `ways-${++names}`;

interface Started {
  url: string;
  stop(): Promise<unknown>;
}

async function startBare(): Promise<Started> {
  const { url, end } = await serve();
  return { url: url.replace(/^ws/, "http"), stop: end };
}

/** Announces by POST, and returns the response. */
async function post(url: string, body: string): Promise<{ position: number; count: number }> {
  const response = await fetch(url, { method: "POST", body });
  const said = await response.text();
  expect([response.status, said]).toEqual([200, expect.stringMatching(/"position":\d+/)]);
  return JSON.parse(said);
}

/** Starts a program, and kills it at the end of the test. */
function run(command: string | undefined, ...args: string[]) {
  if (command === undefined) throw new Error("the program isn't installed");
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function output(command: string | undefined, ...args: string[]): Promise<string> {
  const child = run(command, ...args);
  child.stdin.end();
  return text(child.stdout);
}

describe.each([
  ["through wrangler dev", () => startServer()],
  ["with the bare runtime", startBare],
])("%s", (_, start) => {
  let url: string;

  beforeAll(async () => {
    const started = await start();
    url = started.url;
    return async () => {
      await started.stop();
    };
  });

  /** Returns the number of connections. */
  const connections = async () => {
    const info = await (await fetch(`${url}/-/info`)).text();
    return Number(/"current connections":(\d+)/.exec(info)?.[1]);
  };

  test.skipIf(!curl)("curl announces and subscribes, and the server notices when it disconnects", async () => {
    const news = unique();
    const said = await output(curl, "-s", "-d", "hello", `${url}/${news}`);
    expect(JSON.parse(said)).toEqual({ channel: news, position: expect.any(Number), count: 1 });
    const before = await connections();
    const listener = run(curl, "-sN", `${url}/${news}?last=5`);
    const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value;
    expect([await next(), await next(), await next()]).toEqual([
      "debug!connected...",
      expect.stringContaining(`debug!position ${news} `),
      `${news}!hello`,
    ]);
    await post(`${url}/${news}`, "a\nb");
    expect([await next(), await next()]).toEqual([`${news}!a`, `${news}!b`]);
    expect(await connections()).toBe(before + 1);
    listener.kill("SIGKILL");
    // A proxy notices the closed connection only when it writes to it.
    const later = async () => {
      await post(`${url}/${news}`, "c");
      return connections();
    };
    await expect.poll(later).toBe(before);
  });

  test("a stream of fetch has messages that are announced together in one piece", async () => {
    const news = unique();
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    const { body } = await fetch(`${url}/${news}`, { signal: leaving.signal });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe("debug!connected...\n");
    const lines = Array.from({ length: 16 }, (_, i) => `line ${i}`);
    await post(`${url}/${news}`, lines.join("\n"));
    expect((await reader?.read())?.value).toBe(lines.map((line) => `${news}!${line}\n`).join(""));
  });

  test("EventSource misses and repeats no messages, however often its connection is lost", {
    tags: ["events-resume"],
  }, async () => {
    const network = await Network.start(() => url);
    onTestFinished(() => network.stop());
    const [news, art] = [unique(), unique()];
    const source = new EventSource(`${network.url}/${news}?channel=${art}`);
    onTestFinished(() => source.close());
    const read: string[] = [];
    const said: string[] = [];
    for (const channel of [news, art]) {
      source.addEventListener(channel, ({ data }) => read.push(`${channel} ${data}`));
    }
    source.addEventListener("debug", ({ data }) => said.push(data));
    await expect.poll(() => said).toContainEqual(expect.stringMatching(/^position all/));
    await announceAmidFaults(url, [news, art], network);
    const all = [news, art].flatMap((channel) => numbers(30).map((n) => `${channel} ${n}`));
    await expect.poll(() => read.length).toBe(all.length);
    for (const channel of [news, art]) {
      expect(read.filter((line) => line.startsWith(`${channel} `))).toEqual(
        all.filter((line) => line.startsWith(`${channel} `)),
      );
    }
    expect(said.filter((what) => /^(gap|error|resumed gap)/.test(what))).toEqual([]);
    expect(said).toContain("resumed complete");
  });

  test.skipIf(!browser)("a browser's EventSource does so too, from another origin", async () => {
    const network = await Network.start(() => url);
    onTestFinished(() => network.stop());
    const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    onTestFinished(() => launched.close());
    const page = await launched.newPage();
    const news = unique();
    const pages = createServer((_, response) => response.end("<!doctype html>"));
    onTestFinished(() => void pages.close());
    await page.goto(await listening(pages));
    await page.evaluate(`
      window.read = []; window.said = [];
      const source = new EventSource(${JSON.stringify(`${network.url}/${news}`)});
      source.addEventListener(${JSON.stringify(news)}, ({ data }) => window.read.push(data));
      source.addEventListener("debug", ({ data }) => window.said.push(data));`);
    await page.waitForFunction("window.said.some((what) => what.startsWith('position all'))");
    await announceAmidFaults(url, [news], network);
    await page.waitForFunction("window.read.length >= 30", undefined, { timeout: 60_000 });
    expect(await page.evaluate("window.read")).toEqual(numbers(30).map(String));
    expect(await page.evaluate("window.said")).toContain("resumed complete");
  });

  test("messages that the network delays are delivered once", async () => {
    const network = await Network.start(() => url);
    onTestFinished(() => network.stop());
    const news = unique();
    const source = new EventSource(`${network.url}/${news}`);
    onTestFinished(() => source.close());
    const read: string[] = [];
    const said: string[] = [];
    source.addEventListener(news, ({ data }) => read.push(data));
    source.addEventListener("debug", ({ data }) => said.push(data));
    await expect.poll(() => said).toContainEqual(expect.stringMatching(/^position all/));
    network.hold(true);
    await post(`${url}/${news}`, numbers(20).join("\n"));
    await post(`${url}/${news}`, "21");
    expect(read).toEqual([]);
    network.hold(false);
    await expect.poll(() => read.length).toBe(21);
    expect(read).toEqual(numbers(21).map(String));
  });

  test("a poll ends when it is complete", async () => {
    const news = unique();
    const { position } = await post(`${url}/${news}`, "a");
    await post(`${url}/${news}`, "b\nc");
    const response = await fetch(`${url}/${news}?poll&since=${position}`);
    expect(await response.text()).toBe(`${news}!b\n${news}!c\n`);
  });

  // The proxy of `wrangler dev` notices lost clients only when it writes, and buffers for slow ones.
  const testBare = start === startBare ? test : () => {};
  testBare("a client whose connection breaks off is noticed at once", async () => {
    const news = unique();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.write(`GET /${news} HTTP/1.1\r\nHost: fanout.test\r\n\r\n`);
    await once(socket, "data");
    const before = await connections();
    socket.resetAndDestroy();
    await expect.poll(connections).toBe(before - 1);
  });

  testBare("who stops reading a stream is cut off, and nobody else is", { tags: ["stream-buffer"] }, async () => {
    const news = unique();
    const { hostname, port } = new URL(url);
    const before = await connections();
    const stalled = connect(Number(port), hostname);
    onTestFinished(() => void stalled.destroy());
    stalled.write(`GET /${news} HTTP/1.1\r\nHost: fanout.test\r\nAccept: text/event-stream\r\n\r\n`);
    await once(stalled, "readable");
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    const { body } = await fetch(`${url}/${news}`, { signal: leaving.signal });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    const message = "x".repeat(60_000);
    let read = (await reader?.read())?.value?.length ?? 0;
    let sent = "debug!connected...\n".length;
    // Documented are 5 million characters; the network's buffers take as much again, and more on some machines.
    while (sent < 20_000_000 && (await connections()) === before + 2) {
      await post(`${url}/${news}`, Array(15).fill(message).join("\n"));
      sent += 15 * `${news}!${message}\n`.length;
      while (read < sent) read += (await reader?.read())?.value?.length ?? 0;
    }
    expect([read, await connections()]).toEqual([sent, before + 1]);
  });

  test.skipIf(!promtool)("promtool accepts the metrics", async () => {
    const metrics = await (await fetch(`${url}/-/metrics`)).text();
    expect(metrics).toMatch(/^fanout_announcements_total \d+$/m);
    const checking = run(promtool, "check", "metrics");
    checking.stdin.end(metrics);
    const said = await text(checking.stdout);
    if (checking.exitCode === null) await once(checking, "exit");
    expect([checking.exitCode, said]).toEqual([0, ""]);
  });
});

function numbers(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

/** Announces thirty numbers on each channel, and cuts connections in between. */
async function announceAmidFaults(url: string, channels: string[], network: Network): Promise<void> {
  for (const n of numbers(30)) {
    for (const channel of channels) await post(`${url}/${channel}`, String(n));
    if (n % 7 === 0) {
      network.cut();
      await expect.poll(() => network.connections).toBeGreaterThan(0);
    }
  }
}
