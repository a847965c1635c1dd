/**
 * Measures presence: what members cost when they enter, leave and return, counted by `counting-worker.js`, and how fast a
 * channel is while its members come and go. `node tools/bench/presence.ts` takes eight minutes, because objects have to
 * settle between the measurements; `node tools/bench/presence.ts costs` or `speed` only does one half, and `npm run bench`
 * includes the second.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cost, minus } from "../../src/costs/cost.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "../../test/e2e/support/runtime.ts";
import type { TestClient } from "../../test/e2e/support/test-client.ts";
import { Churn } from "./churn.ts";
import { Crowd } from "./crowd.ts";
import { RETENTION_SECONDS } from "./events.ts";
import { Meter, type Spent, totalOf } from "./meter.ts";
import type { Server } from "./peers/peer.ts";
import { FANOUT } from "./protocol.ts";
import { type Run, run } from "./run.ts";
import { markdown, whole } from "./table.ts";

const CHANNEL = "room";

/** Maximum connections being opened at once. */
const OPENING = 100;

/** What was measured: a cost over all objects, and the milliseconds until all clients had their replies. */
interface Measured {
  what: string;
  cost: Cost;
  milliseconds: number;
}

/** Yields a table of costs; each part of a cost is named. */
export async function* reportCosts(members = 1_000): AsyncGenerator<string> {
  const rows: string[][] = [];
  for await (const { what, cost, milliseconds } of measureCosts(members)) {
    rows.push([what, parts(cost.rows), calls(cost), cost.seconds.toFixed(2), whole(Math.round(milliseconds))]);
  }
  yield markdown([["", "rows written", "calls and alarms", "seconds awake", "ms until all replied"], ...rows]);
}

async function* measureCosts(members: number): AsyncGenerator<Measured> {
  yield* single();
  for (const objects of [1, 10]) yield* together(members, objects);
  yield* afterKill(members, 10);
}

/** Measures lone changes, in a channel without watchers and then with one. */
async function* single(): AsyncGenerator<Measured> {
  const meter = await Meter.start(RETENTION_SECONDS);
  const [ann, bob, watcher] = await connect(meter, ["home", "home", "elsewhere"]);
  if (!ann || !bob || !watcher) throw new Error("the clients are connected");
  await meter.spent(async () => {});
  yield await measured("`enter` as the first member", meter, [ann], `enter ${CHANNEL} ann data`);
  yield await measured("`enter` as another member, from the same object", meter, [bob], `enter ${CHANNEL} bob data`);
  yield await measured("the same `enter` again", meter, [bob], `enter ${CHANNEL} bob data`);
  yield await measured("`enter` with other data", meter, [bob], `enter ${CHANNEL} bob more`);
  yield await measured("`members`", meter, [bob], `members ${CHANNEL}`);
  await meter.spent(() => carryOut([watcher], `subscribe presence/${CHANNEL}`));
  yield await measured("`enter` with other data, one object watches", meter, [bob], `enter ${CHANNEL} bob data`);
  yield await measured("`leave`, one object watches", meter, [bob], `leave ${CHANNEL}`);
  const cost = totalOf(await meter.spent(async () => meter.leave(ann)));
  yield { what: "a connection ends for good, one object watches", cost, milliseconds: 0 };
  await meter.stop();
}

/** Measures many clients that enter and leave at once. */
async function* together(members: number, objects: number): AsyncGenerator<Measured> {
  const meter = await Meter.start(RETENTION_SECONDS);
  const clients = await connect(meter, homes(members, objects));
  await meter.spent(async () => {});
  const where = objects === 1 ? "one object" : `${objects} objects`;
  yield await measured(`${whole(members)} enter at once, in ${where}`, meter, clients, enters);
  yield await measured(`${whole(members)} leave at once, in ${where}`, meter, clients, `leave ${CHANNEL}`);
  await meter.stop();
}

/** Measures what it costs more that clients enter again after a power failure than that they connect again. */
async function* afterKill(members: number, objects: number): AsyncGenerator<Measured> {
  const [without, having] = [await massReturn(members, objects, false), await massReturn(members, objects, true)];
  const where = `${objects} objects`;
  yield { what: `${whole(members)} connect again after a kill, in ${where}`, ...without };
  const cost = minus(having.cost, without.cost);
  yield { what: "… and enter again: in addition to that", cost, milliseconds: having.milliseconds };
}

async function massReturn(members: number, objects: number, areMembers: boolean) {
  const meter = await Meter.start(RETENTION_SECONDS);
  const first = await connect(meter, homes(members, objects));
  await meter.spent(() => (areMembers ? carryOut(first, enters) : Promise.resolve()));
  const restarting = meter.restart();
  for (const client of first) meter.leave(client);
  await restarting;
  const began = performance.now();
  let milliseconds = 0;
  const spent = await meter.spent(async () => {
    const clients = await connect(meter, homes(members, objects));
    await carryOut(clients, areMembers ? enters : "ping");
    milliseconds = performance.now() - began;
  });
  await meter.stop();
  return { cost: totalOf(spent), milliseconds };
}

function homes(members: number, objects: number): string[] {
  return Array.from({ length: members }, (_, i) => `home/${i % objects}`);
}

async function connect(meter: Meter, paths: string[]): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  for (let from = 0; from < paths.length; from += OPENING) {
    const some = paths.slice(from, from + OPENING).map((path) => meter.connect(`/${path}`));
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

function enters(index: number): string {
  return `enter ${CHANNEL} member-${index} data`;
}

async function measured(
  what: string,
  meter: Meter,
  clients: TestClient[],
  command: string | ((index: number) => string),
): Promise<Measured> {
  const began = performance.now();
  let milliseconds = 0;
  const spent: Map<string, Spent> = await meter.spent(async () => {
    await carryOut(clients, command);
    milliseconds = performance.now() - began;
  });
  return { what, cost: totalOf(spent), milliseconds };
}

/** Has each client send a command; resolves when each has the reply to a `ping` in the same frame. */
async function carryOut(clients: TestClient[], command: string | ((index: number) => string)): Promise<void> {
  const replies = clients.map(async (client, i) => {
    client.send(`${typeof command === "string" ? command : command(i)}\nping\n`);
    for (let line = ""; !/^\d+$/.test(line); line = await client.line()) {
      if (line.startsWith("debug!error ")) throw new Error(line);
    }
  });
  await Promise.all(replies);
}

function parts(counts: Record<string, number>): string {
  const named = Object.entries(counts).map(([name, count]) => `${name} ${whole(count)}`);
  const sum = Object.values(counts).reduce((total, count) => total + count, 0);
  return [whole(sum), named.join(", ")].filter((part) => part !== "").join(": ");
}

function calls({ requests }: Cost): string {
  const { message: _, upgrade: __, ...others } = requests;
  return parts(others);
}

// --- speed

/** The load on the channel. */
const WINDOW = 16;
const ROUNDS = 3;
const MILLISECONDS = 3_000;

/** How long members come and go before a measurement, in milliseconds. */
const LEAD_IN = 500;

/** One more than the server allows by default, so that one connection may announce everything. */
const UNLIMITED = { LINES_PER_SECOND: "1000000" };

interface Round {
  alone: Run;
  during: Run;
  /** Changes per second, and those refused. */
  changes: number;
  refused: number;
}

/** Yields how many messages a channel with subscribers delivers, alone and while as many clients enter it and leave. */
export async function* reportSpeed(subscribers = 1_000): AsyncGenerator<string> {
  const folder = await temporaryFolder();
  const file = await bundle(folder);
  for (const [where, homesOf] of Object.entries({
    "at the object of the channel": (channel: string) => [channel],
    "at ten other objects": () => Array.from({ length: 10 }, (_, i) => `home/${i}`),
  })) {
    const own = join(folder, "runtime");
    await mkdir(own);
    const runtime = await startRuntime(file, own, { settings: UNLIMITED, onLine: (line) => console.error(line) });
    const server = { name: "Fanout", port: Number(new URL(runtime.url).port), pid: runtime.pid, protocol: FANOUT };
    yield* speed(server, where, subscribers, homesOf);
    await runtime.kill();
    await rm(own, { recursive: true });
  }
  await removeFolder(folder);
}

async function* speed(
  server: Server,
  where: string,
  subscribers: number,
  homesOf: (channel: string) => string[],
): AsyncGenerator<string> {
  const seats = Array.from({ length: subscribers }, () => ({ subscribesTo: [0], announcesOn: 0 }));
  const crowd = await Crowd.open(server, { name: CHANNEL, channels: 1, seats });
  const channel = crowd.flows[0]?.channel ?? "";
  const churn = await Churn.connect({ port: server.port, channel, homes: homesOf(channel), clients: subscribers });
  await run(server, crowd, { window: WINDOW, publishers: 1 }, LEAD_IN);
  const rounds: Round[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await measureRound(server, crowd, churn));
  await churn.close();
  crowd.close();
  const median = (of: (round: Round) => number) => rounds.map(of).sort((one, other) => one - other)[ROUNDS >> 1] ?? 0;
  const rate = (of: (round: Round) => number) => whole(Math.round(median(of) / subscribers));
  yield `${whole(subscribers)} subscribers, ${WINDOW} messages in flight: ${rate(({ alone }) => alone.rate)} messages/s alone, ` +
    `${rate(({ during }) => during.rate)} while ${whole(subscribers)} clients ${where} enter and leave ` +
    `(ratio ${median(({ alone, during }) => during.rate / alone.rate).toFixed(2)}; ` +
    `${whole(Math.round(median(({ changes }) => changes)))} changes/s, ` +
    `${whole(Math.round(median(({ refused }) => refused)))} refused/s; ` +
    `server ${median(({ during }) => during.serverCpu).toFixed(2)} cores)`;
}

async function measureRound(server: Server, crowd: Crowd, churn: Churn): Promise<Round> {
  const load = { window: WINDOW, publishers: 1 };
  const alone = await run(server, crowd, load, MILLISECONDS);
  const began = performance.now();
  churn.start();
  await sleep(LEAD_IN);
  const during = await run(server, crowd, load, MILLISECONDS);
  const { changes, refused } = await churn.pause();
  const seconds = (performance.now() - began) / 1_000;
  return { alone, during, changes: changes / seconds, refused: refused / seconds };
}

if (import.meta.main) {
  const [half] = process.argv.slice(2);
  if (half !== "costs") for await (const line of reportSpeed()) console.log(line);
  if (half !== "speed") for await (const line of reportCosts()) console.log(line);
  process.exit();
}
