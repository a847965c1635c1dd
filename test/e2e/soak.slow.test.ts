/**
 * A hundred clients on several channels that disconnect at random, while objects crash and the power fails. Each has
 * to receive every message exactly once, in one order. `MINUTES=10` runs longer than the suite has time for, with
 * silences in which objects hibernate; `SEED=…` repeats the decisions.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Dice } from "./support/dice.ts";
import { HttpSoakClient } from "./support/http-soak-client.ts";
import { SEED } from "./support/seed.ts";
import { connectionsAt, type Served, serveInTest } from "./support/serve.ts";
import { SoakClient, SoakLog } from "./support/soak-client.ts";

const SECONDS = 60 * Number(process.env.MINUTES ?? 0.25);
const CLIENTS = 90;
/** Of all clients, those without WebSockets. */
const HTTP_CLIENTS = 10;
const CHANNELS = ["all", "a", "b", "c", "d"];
/** Channels per client. */
const EACH = 3;
/** Time between faults, in milliseconds, and the share of them that are power failures. */
const BETWEEN_FAULTS = 300;
const POWER_FAILS = 1 / 30;
/** A silence, longer than the runtime keeps an idle object in memory, in milliseconds; and the share of faults with one. */
const SILENCE = 14_000;
const SILENT = SECONDS > 60 ? 1 / 150 : 0;

/** Objects that may exist, and crash. */
const CRASHING = CHANNELS.flatMap((channel) => [channel, `${channel}!1`, `${channel}!2`, `${channel}!1!1`]);

test(`for ${SECONDS} s of faults, no client misses or repeats a message`, {
  timeout: (SECONDS + 240) * 1_000,
}, async () => {
  console.log(`SEED=${SEED}`);
  const dice = new Dice(SEED);
  const around = await readFile(new URL("support/aborting-worker.js", import.meta.url), "utf8");
  const service = await serveInTest({ settings: { SOCKETS_PER_OBJECT: "8", LINKS_PER_OBJECT: "4" }, around });
  const log = new SoakLog();
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const channels = Array.from({ length: EACH }, (_, n) => CHANNELS[(i + n) % CHANNELS.length] ?? "");
    return new SoakClient(`client${i}`, channels, log, () => service.url, dice.split());
  });
  const running = clients.map((client) => client.run());
  const others = await Promise.all(
    Array.from({ length: HTTP_CLIENTS }, (_, i) => {
      const channels = Array.from({ length: EACH }, (_, n) => CHANNELS[(i + n) % CHANNELS.length] ?? "");
      return HttpSoakClient.start(`other${i}`, channels, log, () => service.url.replace(/^ws/, "http"), dice.split());
    }),
  );
  const all = [...clients, ...others];
  let isOver = false;
  let isSilent = false;
  const publishing = all.map(async (client) => {
    const own = dice.split();
    while (!isOver) {
      await client.announce(own.any(CHANNELS));
      do await sleep(own.below(500));
      while (isSilent && !isOver);
    }
  });
  const until = Date.now() + SECONDS * 1_000;
  let faults = 0;
  while (Date.now() < until) {
    await sleep(dice.below(BETWEEN_FAULTS));
    isSilent = dice.below(1) < SILENT;
    if (isSilent) await sleep(SILENCE);
    isSilent = false;
    faults += 1;
    if (dice.below(1) < POWER_FAILS) await service.restart();
    else if (dice.below(1) < 0.3) await abort(service, dice.any(CRASHING));
    else dice.any(all).cut();
  }
  isOver = true;
  await Promise.all(publishing);
  // Without another message, all clients receive all of them, and then nothing more.
  const newest = log.newest(CHANNELS);
  await Promise.all(all.map((client) => client.reach(newest)));
  const received = log.read;
  if (SILENT > 0) await sleep(SILENCE);
  for (const client of all) await client.stop();
  await Promise.all(running);
  await expect.poll(() => connectionsAt(service.url)).toBe(0);
  expect(log.read).toBe(received);
  const { announced, read, resumed, gaps, endings } = log;
  console.log({ faults, announced, read, resumed, gaps: gaps.length, endings });
  expect(log.faults).toEqual([]);
  expect(gaps).toEqual([]);
});

/** Crashes an object of the server. */
async function abort({ url }: Served, object: string): Promise<void> {
  await fetch(`${url.replace(/^ws/, "http")}/!abort/${encodeURIComponent(object)}`);
}
