/** A channel, and `all`, that outgrow their objects: in the runtime itself, with nothing in front of it. */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { bundle, type Runtime, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

/** Connections being opened at one time. */
const OPENING = 100;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  file = await bundle(folder);
});

afterAll(() => removeFolder(folder));

/** A client that keeps what it reads, and tells when it has read enough. */
class Listener {
  readonly lines: string[] = [];
  readonly #socket: WebSocket;
  #enough: { count: number; reached: () => void } | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (frame) => {
      this.lines.push(...frame.toString().split("\n").slice(0, -1));
      if (this.#enough && this.lines.length >= this.#enough.count) this.#enough.reached();
    });
  }

  static async connect(url: string): Promise<Listener> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const listener = new Listener(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("message", () => resolve());
      socket.once("error", reject);
    });
    expect(listener.lines).toEqual(["debug!connected..."]);
    listener.lines.length = 0;
    return listener;
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  /** Ends when `count` lines have been read since the last call. */
  async read(count: number): Promise<string[]> {
    if (this.lines.length < count) {
      await new Promise<void>((reached) => {
        this.#enough = { count, reached };
      });
    }
    return this.lines.splice(0, count);
  }

  /** Ends when the connection has. */
  ended(): Promise<void> {
    return new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  close(): void {
    this.#socket.terminate();
  }
}

async function connectAll(runtime: Runtime, paths: string[]): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (let from = 0; from < paths.length; from += OPENING) {
    const some = paths.slice(from, from + OPENING).map((path) => Listener.connect(runtime.url + path));
    listeners.push(...(await Promise.all(some)));
  }
  return listeners;
}

/** The figures of the service, as `info` tells them. */
async function info(client: Listener): Promise<Record<string, string>> {
  client.say("info");
  const lines = await client.read(17);
  return Object.fromEntries(lines.map((line) => line.split(": ")));
}

/** A connection takes two open files of the runtime, and not every machine allows for 10,000 of them. */
const FILES = Number(execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }));
const CROWD = Math.min(10_000, Math.floor(((FILES || Number.POSITIVE_INFINITY) - 600) / 2));

test(`${CROWD} connections on one channel read a thousand messages of many of them in one order`, {
  timeout: 180_000,
}, async () => {
  const runtime = await startRuntime(file, folder, { settings: { SOCKETS_PER_OBJECT: "1000" } });
  onTestFinished(runtime.kill);
  const listeners = await connectAll(
    runtime,
    Array.from({ length: CROWD }, () => "/crowd"),
  );
  const [first] = listeners;
  if (!first) throw new Error("nobody is there");
  expect(await info(first)).toMatchObject({
    "current connections": String(CROWD),
    "current channels": "2",
    "user-requested subscriptions": String(CROWD),
    objects: String(Math.ceil(CROWD / 1_000)),
    "unreachable objects": "0",
  });
  for (let i = 0; i < 1_000; i++) listeners[(i * 37) % listeners.length]?.say(`announce crowd ${i}`);
  const order = (await first.read(1_000)).join("\n");
  expect(new Set(order.split("\n")).size).toBe(1_000);
  for (const listener of listeners.slice(1)) expect((await listener.read(1_000)).join("\n")).toBe(order);
  for (const listener of listeners) listener.close();
});

test("500 channels hear `all` once each through objects with 16 links, also after a power failure", {
  timeout: 180_000,
}, async () => {
  const storage = await temporaryFolder();
  const options = { settings: { LINKS_PER_OBJECT: "16" } };
  const paths = Array.from({ length: 1_000 }, (_, i) => `/room${i % 500}`);
  for (let life = 0; life < 2; life++) {
    const runtime = await startRuntime(file, storage, options);
    onTestFinished(runtime.kill);
    const listeners = await connectAll(runtime, paths);
    const [first] = listeners;
    if (!first) throw new Error("nobody is there");
    // On a busy machine some are greeted before their object could join `all`; the ping waits for that.
    for (const listener of listeners) listener.say("subscribe all\nping");
    for (const listener of listeners)
      expect(await listener.read(1)).toEqual([expect.stringMatching(/^\d+$/)]);
    first.say("announce all one\nannounce all two\nannounce room499 three");
    for (const [i, listener] of listeners.entries()) {
      const expected = ["all!one", "all!two", ...(i % 500 === 499 ? ["room499!three"] : [])];
      const read = await listener.read(expected.length);
      expect(read.sort()).toEqual(expected);
    }
    expect(await info(first)).toMatchObject({
      "current connections": "1000",
      "current channels": "501",
      objects: "500",
      "unreachable objects": "0",
    });
    // In mid-stream: some of these are on their way when the power fails.
    const ends = listeners.map((listener) => listener.ended());
    for (const listener of listeners.slice(0, 100)) listener.say("announce all lost");
    await first.read(1);
    await runtime.kill();
    await Promise.all(ends);
  }
  await removeFolder(storage);
});
