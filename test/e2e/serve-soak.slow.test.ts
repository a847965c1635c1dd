/**
 * Clients of `fanout serve`, while the command or its runtime is killed every few seconds, also at its start, and the
 * server starts again in the same folder and at the same port. No client may miss or repeat a message, no process may
 * be left, and no lock. `MINUTES=10` runs longer; `SEED=…` repeats the decisions.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Dice } from "./support/dice.ts";
import { HttpSoakClient } from "./support/http-soak-client.ts";
import { LibrarySoakClient } from "./support/library-soak-client.ts";
import { freePort } from "./support/listening.ts";
import { MortalServer } from "./support/mortal-server.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { SEED } from "./support/seed.ts";
import { connectionsAt } from "./support/serve.ts";
import { SoakClient, SoakLog } from "./support/soak-client.ts";

const SECONDS = 60 * Number(process.env.MINUTES ?? 0.5);
const CHANNELS = ["all", "a", "b", "c", "d"];
/** Channels per client. */
const EACH = 3;
/** Clients with plain WebSockets, with HTTP, and with the library. */
const CLIENTS = { plain: 20, http: 10, library: 20 };
/** Longest time between a client's messages, in milliseconds. */
const PAUSE = 1_000;

test(`for ${SECONDS} s of kills, no client misses or repeats a message, and nothing is left over`, {
  timeout: (SECONDS + 240) * 1_000,
}, async () => {
  console.log(`SEED=${SEED}`);
  const dice = new Dice(SEED);
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const data = join(folder, "data");
  const port = await freePort();
  const server = new MortalServer(data, port);
  await server.start();
  const url = `ws://127.0.0.1:${port}`;
  const log = new SoakLog();
  const channelsOf = (i: number) => Array.from({ length: EACH }, (_, n) => CHANNELS[(i + n) % CHANNELS.length] ?? "");
  const plain = numbers(CLIENTS.plain).map(
    (i) => new SoakClient(`plain${i}`, channelsOf(i), log, () => url, dice.split()),
  );
  const running = plain.map((client) => client.run());
  const http = await Promise.all(
    numbers(CLIENTS.http).map((i) =>
      HttpSoakClient.start(`http${i}`, channelsOf(i), log, () => url.replace(/^ws/, "http"), dice.split()),
    ),
  );
  const library = numbers(CLIENTS.library).map((i) => new LibrarySoakClient(`library${i}`, channelsOf(i), log, url));
  const all = [...plain, ...http, ...library];
  let isOver = false;
  const publishing = all.map(async (client) => {
    const own = dice.split();
    while (!isOver) {
      await client.announce(own.any(CHANNELS));
      await sleep(own.below(PAUSE));
    }
  });
  for (const until = Date.now() + SECONDS * 1_000; Date.now() < until; ) await server.die();
  isOver = true;
  await Promise.all(publishing);
  // Without another message, all clients receive all of them, and then nothing more.
  const newest = log.newest(CHANNELS);
  await Promise.all(all.map((client) => client.reach(newest)));
  const received = log.read;
  for (const client of all) await client.stop();
  await Promise.all(running);
  await expect.poll(() => connectionsAt(url)).toBe(0);
  expect(log.read).toBe(received);
  await server.stop();
  const { announced, read, resumed, gaps, endings } = log;
  const memory = { first: server.memory[0], last: server.memory.at(-1), most: Math.max(...server.memory) };
  console.log({ kills: server.kills, memory, announced, read, resumed, gaps: gaps.length, endings });
  expect(log.faults).toEqual([]);
  expect(gaps).toEqual([]);
  expect((await readdir(data)).sort()).toEqual(["config.capnp", "server.js", "storage"]);
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
