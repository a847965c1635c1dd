/**
 * HTTP without WebSockets: announcements per second by POST, and deliveries per second to streams, compared with
 * WebSockets that are counted in the same way and in turns. Here the Worker that holds the streams shares a thread with
 * the object. Alone: `node tools/bench/http.ts`, or only some parts: `node tools/bench/http.ts rates bare`.
 */
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  bundle,
  memoryOf,
  peakMemoryOf,
  type Runtime,
  removeFolder,
  startRuntime,
  temporaryFolder,
} from "../../test/e2e/support/runtime.ts";
import { median } from "./contest.ts";
import { type Kind, MESSAGE, Readers } from "./readers.ts";
import { spread, whole } from "./table.ts";

const SUBSCRIBER_KINDS = ["WebSocket", "lines", "events"] as const;

/** Number of subscribers of each kind, and of requests to announce at a time. */
const SUBSCRIBERS = 1_000;
const POSTERS = 32;

/** Announcements in the frame in which each is followed by a `ping`. */
const ALTERNATING = 4_500;

const BARE = fileURLToPath(new URL("bare-worker.js", import.meta.url));
const SLOW = new URL("slow-commits.js", import.meta.url);

/** One publisher sends more than a client normally may. */
const UNLIMITED = { LINES_PER_SECOND: "1000000" };

/** The parts of the report. `bare` is what the runtime allows: see `bare-worker.js`; `commits`, see `slow-commits.js`. */
const PARTS = ["posts", "commits", "memory", "rates", "bare", "frame"];

/**
 * Yields the results, line by line.
 * @param parts some of PARTS
 */
export async function* reportHttp(milliseconds: number, parts = PARTS, rounds = 3): AsyncGenerator<string> {
  const folder = await temporaryFolder();
  try {
    const file = await bundle(folder);
    const rates = (name: string, kinds: readonly Kind[]) => (runtime: Fresh) =>
      reportRates(name, runtime, kinds, milliseconds, rounds);
    const posts = (commits: string) => (runtime: Fresh) => reportPosts(runtime, commits, milliseconds, rounds);
    if (parts.includes("posts")) yield* withRuntime(file, posts("commits to this disk"));
    if (parts.includes("commits")) {
      yield* withRuntime(file, posts("commits of 10 ms"), {}, await readFile(SLOW, "utf8"));
    }
    for (const kind of parts.includes("memory") ? SUBSCRIBER_KINDS : []) {
      yield* withRuntime(file, (runtime) => reportMemory(runtime, kind));
    }
    if (parts.includes("rates")) yield* withRuntime(file, rates("Fanout", SUBSCRIBER_KINDS));
    if (parts.includes("bare")) yield* withRuntime(BARE, (runtime) => reportMemory(runtime, "lines", "bare "));
    for (const WRITER of parts.includes("bare") ? ["worker", "object"] : []) {
      yield* withRuntime(BARE, rates(`the ${WRITER} writes, nothing else`, ["WebSocket", "lines"]), { WRITER });
    }
    if (parts.includes("frame")) yield* withRuntime(file, (runtime) => reportAlternating(runtime, rounds));
  } finally {
    await removeFolder(folder);
  }
}

/** A fresh runtime, because memory that earlier connections used isn't returned. */
type Fresh = Runtime & { port: number };

async function* withRuntime(
  file: string,
  report: (runtime: Fresh) => AsyncGenerator<string>,
  settings: Record<string, string> = {},
  around?: string,
): AsyncGenerator<string> {
  const folder = await temporaryFolder();
  const options = { settings: { ...UNLIMITED, ...settings }, ...(around !== undefined && { around }) };
  const runtime = await startRuntime(file, folder, options);
  try {
    yield* report({ ...runtime, port: Number(new URL(runtime.url).port) });
  } finally {
    await runtime.kill();
    await removeFolder(folder);
  }
}

async function* reportPosts({ port }: Fresh, commits: string, milliseconds: number, rounds: number) {
  const runs: Awaited<ReturnType<typeof post>>[] = [];
  for (let round = 0; round < rounds; round++) runs.push(await post(port, milliseconds));
  const rates = runs.map(({ rate }) => rate);
  const latency = median(runs.map((run) => run.median)).toFixed(1);
  yield `POST, ${POSTERS} at a time, ${commits}: ${spread(rates)} announcements/s, median ${latency} ms`;
}

/** Reports the memory that each subscriber takes, after some that load all code. */
async function* reportMemory({ port, pid }: Fresh, kind: Kind, name = ""): AsyncGenerator<string> {
  await Readers.gather(port, kind, 50, "first");
  const before = await memoryOf(pid);
  const readers = await Readers.gather(port, kind, SUBSCRIBERS);
  const each = ((await memoryOf(pid)) - before) / SUBSCRIBERS;
  readers.close();
  yield `${SUBSCRIBERS} ${name}${kind} subscribers: ${each.toFixed(1)} KiB each in the runtime`;
}

/** Reports deliveries per second, of all kinds in turns. */
async function* reportRates(
  name: string,
  { port }: Fresh,
  each: readonly Kind[],
  milliseconds: number,
  rounds: number,
): AsyncGenerator<string> {
  const kinds: Readers[] = [];
  for (const kind of each) kinds.push(await Readers.gather(port, kind, SUBSCRIBERS));
  for (const readers of kinds) await readers.deliver(64, 500);
  for (const window of [16, 256]) {
    const rates = kinds.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, readers] of kinds.entries()) rates[i]?.push(await readers.deliver(window, milliseconds));
    }
    for (const [i, { kind }] of kinds.entries())
      yield `${name}: ${rateLine(kind, window, rates[i] ?? [], rates[0] ?? [])}`;
  }
  for (const readers of kinds) readers.close();
}

function rateLine(kind: Kind, window: number, rates: number[], ofFirst: number[]): string {
  const shares = rates.map((rate, round) => rate / (ofFirst[round] ?? Number.NaN));
  const share = rates === ofFirst ? "" : `, ${median(shares).toFixed(2)} of a WebSocket's`;
  return `${SUBSCRIBERS} ${kind} subscribers, ${window} in flight: ${spread(rates)} deliveries/s${share}`;
}

/** Reports what a frame costs in which announcements and pings alternate. */
async function* reportAlternating({ port, pid }: Fresh, rounds: number): AsyncGenerator<string> {
  const readers = await Readers.gather(port, "WebSocket", SUBSCRIBERS);
  await readers.deliver(64, 500);
  const before = await memoryOf(pid);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await readers.alternate(ALTERNATING));
  const more = (await peakMemoryOf(pid)) - before;
  readers.close();
  yield `${ALTERNATING} announcements, each followed by a ping, in one frame to ${SUBSCRIBERS} subscribers: ` +
    `${whole(Math.round(median(times)))} ms, up to ${whole(Math.round(more / 1_024))} MiB`;
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

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const parts = positionals.length > 0 ? positionals : PARTS;
  for await (const line of reportHttp(2_000, parts)) console.log(line);
}
