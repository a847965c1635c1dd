/**
 * The client library and `fanout pub`: messages per second in a loop (`for await`), from a server that only sends and
 * from this project's, and lines per second from a pipe. `node tools/bench/client.ts [folder]` compares with another
 * checkout, in alternating rounds.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type * as Library from "../../src/client/fanout.ts";
import { bundle, type Runtime, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import { whole } from "./table.ts";
import { Connection, clientFrame } from "./websocket.ts";

const MESSAGE = "x".repeat(32);

/** Messages in a frame of the server that only sends. */
const PER_FRAME = 1_000;

/** Messages, or lines, of a round. */
const MESSAGES = 400_000;
const LINES = 200_000;

/** Messages in flight from our own server. */
const WINDOW = 16_000;

/** Announcements in one of the announcer's frames. */
const BATCH = 1_000;

/** Lines per second that our server accepts, and `fanout pub` sends at most. */
const RATE = "1000000";

const HERE = fileURLToPath(import.meta.url);
const ROOT = join(HERE, "..", "..", "..");

/** A checkout of this project whose client is measured. */
interface Checkout {
  readonly name: string;
  readonly folder: string;
  readonly library: typeof Library;
}

/**
 * Yields the results, line by line.
 * @param folders checkouts to compare, each with the first
 */
export async function* reportClient(rounds: number, folders = [ROOT]): AsyncGenerator<string> {
  const checkouts = await Promise.all(folders.map(load));
  const folder = await temporaryFolder();
  const settings = { LINES_PER_SECOND: RATE };
  const runtime = await startRuntime(await bundle(folder), folder, { settings });
  const sender = await startSender();
  try {
    const tests = {
      "for await, messages/s from a process that only sends": ({ library }: Checkout) => drain(library, sender.url),
      "for await, messages/s from our server": ({ library }: Checkout) => follow(library, runtime),
      "fanout pub, lines/s from a pipe": (checkout: Checkout) => pipe(checkout, runtime.url),
    };
    for (const [title, measure] of Object.entries(tests)) yield* compare(title, checkouts, rounds, measure);
  } finally {
    sender.child.kill("SIGKILL");
    await runtime.kill();
    await removeFolder(folder);
  }
}

async function load(folder: string): Promise<Checkout> {
  const library: typeof Library = await import(join(folder, "src", "client", "fanout.ts"));
  return { name: folder === ROOT ? "this checkout" : folder, folder, library };
}

/** Measures all checkouts in turn, and reports the medians. */
async function* compare(
  title: string,
  checkouts: Checkout[],
  rounds: number,
  measure: (checkout: Checkout) => Promise<number>,
): AsyncGenerator<string> {
  const rates = checkouts.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, checkout] of checkouts.entries()) rates[i]?.push(await measure(checkout));
  }
  const medians = rates.map((all) => all.sort((a, b) => a - b)[all.length >> 1] ?? 0);
  yield title;
  for (const [i, { name }] of checkouts.entries()) {
    const [median = 0, least = 0, most = 0] = [medians[i], rates[i]?.[0], rates[i]?.at(-1)].map((rate = 0) =>
      Math.round(rate),
    );
    const ratio = i === 0 ? "" : `, ${((medians[0] ?? 0) / median).toFixed(2)} times as many in the first`;
    yield `  ${name}: ${whole(median)} (${whole(least)} to ${whole(most)})${ratio}`;
  }
}

// --- loops

/** Reads messages in a loop; returns messages per second, from the first to the last. */
async function read(messages: AsyncIterable<Library.Message>, onMessage = (_: number) => {}): Promise<number> {
  let count = 0;
  let began = 0;
  for await (const { text } of messages) {
    if (count === 0) began = performance.now();
    if (text !== MESSAGE) throw new Error(`received '${text}'`);
    count += 1;
    onMessage(count);
    if (count === MESSAGES) break;
  }
  if (count < MESSAGES) throw new Error(`the loop ended after ${count} messages`);
  return (MESSAGES / (performance.now() - began)) * 1_000;
}

async function drain({ Fanout }: typeof Library, url: string): Promise<number> {
  const fanout = new Fanout(url, { onState: () => {} });
  const rate = await read(fanout.subscribe("flood", { buffer: 1_000_000 }));
  await fanout.close({ within: 0 });
  return rate;
}

/** Reads what an announcer sends as fast as the reader gets it. */
async function follow({ Fanout }: typeof Library, { url }: Runtime): Promise<number> {
  const announcer = new Connection(Number(new URL(url).port), "/flood", "unsubscribe flood\n");
  await announcer.opened;
  const fanout = new Fanout(url, { onState: () => {} });
  const messages = fanout.subscribe("flood", { buffer: 1_000_000 });
  await fanout.ping();
  const frame = clientFrame(`announce flood ${MESSAGE}\n`.repeat(BATCH));
  let sent = 0;
  const send = (received: number) => {
    for (; sent < MESSAGES && sent < received + WINDOW; sent += BATCH) announcer.write(frame);
  };
  send(0);
  const rate = await read(messages, (received) => {
    if (received % BATCH === 0) send(received);
  });
  announcer.close();
  await fanout.close({ within: 0 });
  return rate;
}

// --- fanout pub

/** Pipes lines into `fanout pub`; returns lines per second, without the time that it takes for one line. */
async function pipe({ folder }: Checkout, url: string): Promise<number> {
  const start = await timeOf(folder, url, 1);
  return (LINES / ((await timeOf(folder, url, LINES)) - start)) * 1_000;
}

async function timeOf(folder: string, url: string, lines: number): Promise<number> {
  const program = join(folder, "src", "cli", "main.ts");
  // Older checkouts have a fixed rate.
  const rate = (await readFile(program, "utf8")).includes('--rate <n>", "most') ? ["--rate", RATE] : [];
  const command = [program, "pub", url, "piped", ...rate];
  const began = performance.now();
  const child = spawn(process.execPath, command, { stdio: ["pipe", "inherit", "inherit"] });
  const ended = once(child, "exit");
  child.stdin.on("error", () => {});
  child.stdin.end(`${MESSAGE}\n`.repeat(lines));
  const [code] = await ended;
  if (code !== 0) throw new Error(`fanout pub ended with ${code}`);
  return performance.now() - began;
}

// --- a process that only sends

async function startSender(): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [HERE, "--send"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const port of createInterface({ input: child.stdout })) return { url: `ws://127.0.0.1:${port}`, child };
  throw new Error("the sender ended before it was listening");
}

/** Serves WebSockets that receive a greeting, and then messages as fast as they read. */
function send(): void {
  const { createHash } = process.getBuiltinModule("node:crypto");
  const frame = frameOf(`flood!${MESSAGE}\n`.repeat(PER_FRAME));
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (request) => {
      const [, key] = /^sec-websocket-key: (\S+)/im.exec(request.toString()) ?? [];
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.write(frameOf("debug!connected...\n"));
      socket.write(frameOf("debug!position flood 0\n"));
      socket.resume();
      flood(socket, frame);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (typeof address === "object") console.log(address?.port);
  });
}

function flood(socket: Socket, frame: Buffer): void {
  while (!socket.destroyed && socket.write(frame));
  socket.once("drain", () => flood(socket, frame));
}

function frameOf(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from(header), payload]);
}

if (import.meta.main) {
  if (process.argv[2] === "--send") send();
  else for await (const line of reportClient(3, [ROOT, ...process.argv.slice(2)])) console.log(line);
}
