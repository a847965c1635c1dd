/**
 * HTTP without WebSockets: announcements per second by POST, and deliveries per second to event streams, compared with
 * WebSockets that are counted in the same way. Here the Worker that holds the streams shares a thread with the object,
 * which limits batching: of 16 messages in flight, about two are sent together. Alone: `node tools/bench/http.ts`.
 */
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bundle,
  memoryOf,
  type Runtime,
  removeFolder,
  startRuntime,
  temporaryFolder,
} from "../../test/e2e/support/runtime.ts";
import { whole } from "./table.ts";
import { clientFrame } from "./websocket.ts";

/** Occurs once per message, and nowhere else in what subscribers receive. */
const MARK = "@".charCodeAt(0);
const MESSAGE = `@${"x".repeat(31)}`;
const SUBSCRIBERS = 1_000;
const POSTERS = 32;

/** The request headers of each kind of subscriber. */
const KINDS = {
  WebSocket:
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
  events: "Accept: text/event-stream\r\n",
} as const;

type Kind = keyof typeof KINDS;

/** Yields the results, line by line. */
export async function* reportHttp(milliseconds: number): AsyncGenerator<string> {
  const folder = await temporaryFolder();
  const runtime = await startRuntime(await bundle(folder), folder);
  try {
    yield* report(runtime, milliseconds);
  } finally {
    await runtime.kill();
    await removeFolder(folder);
  }
}

async function* report(runtime: Runtime, milliseconds: number): AsyncGenerator<string> {
  const port = Number(new URL(runtime.url).port);
  const { rate, median } = await post(port, milliseconds);
  yield `POST, ${POSTERS} at a time: ${whole(Math.round(rate))} announcements/s, median ${median.toFixed(1)} ms`;
  const rates = new Map<string, number>();
  for (const kind of ["WebSocket", "events"] as const) {
    const before = await memoryOf(runtime.pid);
    const crowd = await Crowd.gather(port, kind);
    const each = ((await memoryOf(runtime.pid)) - before) / SUBSCRIBERS;
    yield `${SUBSCRIBERS} ${kind} subscribers: ${each.toFixed(1)} KiB each in the runtime`;
    for (const window of [16, 256]) {
      const rate = await crowd.deliver(window, milliseconds);
      rates.set(`${kind} ${window}`, rate);
      const share =
        kind === "events" ? ` (${(rate / (rates.get(`WebSocket ${window}`) ?? 1)).toFixed(2)} of a WebSocket's)` : "";
      yield `  ${window} in flight: ${whole(Math.round(rate))} deliveries/s${share}`;
    }
    await crowd.leave();
  }
}

/** Announces one message per request, over persistent connections. */
async function post(port: number, milliseconds: number): Promise<{ rate: number; median: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: POSTERS });
  const times: number[] = [];
  const once = () =>
    new Promise<void>((resolve, reject) => {
      const began = performance.now();
      const asking = request({ host: "127.0.0.1", port, path: "/posts", method: "POST", agent }, (answer) => {
        answer.resume().once("end", () => {
          if (answer.statusCode !== 200) return reject(new Error(`the server answered ${answer.statusCode}`));
          times.push(performance.now() - began);
          resolve();
        });
      });
      asking.once("error", reject).end(MESSAGE);
    });
  for (let i = 0; i < POSTERS; i++) await once();
  times.length = 0;
  const began = performance.now();
  const until = began + milliseconds;
  const posters = Array.from({ length: POSTERS }, async () => {
    while (performance.now() < until) await once();
  });
  await Promise.all(posters);
  const rate = (times.length / (performance.now() - began)) * 1_000;
  agent.destroy();
  return { rate, median: times.sort((a, b) => a - b)[times.length >> 1] ?? 0 };
}

/** The subscribers of one channel, and a publisher. */
class Crowd {
  readonly #subscribers: Socket[] = [];
  #announcer: Socket | undefined;
  #read = 0;
  #sent = 0;
  #onRead = () => {};

  static async gather(port: number, kind: Kind): Promise<Crowd> {
    const crowd = new Crowd();
    const channel = `crowd-${kind}`;
    for (let i = 0; i < SUBSCRIBERS; i += 50) {
      const some = Array.from({ length: 50 }, () => open(port, channel, kind, (bytes) => crowd.#count(bytes)));
      crowd.#subscribers.push(...(await Promise.all(some)));
    }
    crowd.#announcer = await open(port, "all", "WebSocket", () => {});
    // Leaves time for the positions that event streams begin with.
    await sleep(1_000);
    crowd.#frame = clientFrame(`announce ${channel} ${MESSAGE}`);
    return crowd;
  }

  #frame: Buffer = Buffer.alloc(0);

  /** Keeps `window` messages in flight for a time; returns deliveries per second. */
  async deliver(window: number, milliseconds: number): Promise<number> {
    this.#read = 0;
    this.#sent = 0;
    const until = performance.now() + milliseconds;
    const began = performance.now();
    this.#send(window);
    await new Promise<void>((resolve) => {
      this.#onRead = () => {
        const received = Math.floor(this.#read / SUBSCRIBERS);
        if (performance.now() < until) this.#send(received + window - this.#sent);
        else if (this.#read >= this.#sent * SUBSCRIBERS) resolve();
      };
    });
    if (this.#read !== this.#sent * SUBSCRIBERS) throw new Error("more messages were received than sent");
    return (this.#read / (performance.now() - began)) * 1_000;
  }

  async leave(): Promise<void> {
    for (const socket of [...this.#subscribers, this.#announcer]) socket?.resetAndDestroy();
    await sleep(500);
  }

  #send(count: number): void {
    if (count <= 0) return;
    this.#sent += count;
    this.#announcer?.write(Buffer.concat(Array.from({ length: count }, () => this.#frame)));
  }

  #count(bytes: Buffer): void {
    const before = this.#read;
    for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) this.#read += 1;
    if (this.#read > before) this.#onRead();
  }
}

/** Opens a connection, and waits for the first bytes of the response. */
async function open(port: number, channel: string, kind: Kind, onBytes: (bytes: Buffer) => void): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setNoDelay(true);
  socket.write(`GET /${channel} HTTP/1.1\r\nHost: 127.0.0.1\r\n${KINDS[kind]}\r\n`);
  await new Promise((resolve, reject) => socket.once("data", resolve).once("error", reject));
  socket.on("data", onBytes).on("error", () => {});
  return socket;
}

if (import.meta.main) for await (const line of reportHttp(2_000)) console.log(line);
