/**
 * A hundred clients that come and go at random, on several channels, while objects crash and the power fails: each has
 * read everything, in one order, once. `MINUTES=10` makes it longer than the suite has time for, with times in which
 * nobody says anything, so that objects fall asleep.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { HttpSoaker } from "./support/http-soaker.ts";
import { type Served, serveInTest } from "./support/serve.ts";
import { Record, Soaker } from "./support/soaker.ts";

const SECONDS = 60 * Number(process.env.MINUTES ?? 0.25);
const CLIENTS = 90;
/** Those that have no WebSocket. */
const HTTP_CLIENTS = 10;
const CHANNELS = ["all", "a", "b", "c", "d"];
/** Channels that each client is on. */
const EACH = 3;
/** How often something fails, in milliseconds, and how often that is everything. */
const BETWEEN_FAULTS = 300;
const POWER_FAILS = 1 / 30;
/** Longer than the runtime keeps an idle object in memory, in milliseconds, and how often there is such a time. */
const SILENCE = 14_000;
const SILENT = SECONDS > 60 ? 1 / 150 : 0;

/** Objects of these names and numbers may be there. */
const CRASHING = CHANNELS.flatMap((channel) => [channel, `${channel}!1`, `${channel}!2`, `${channel}!1!1`]);

test(`for ${SECONDS} s, whatever fails, nobody misses or repeats anything`, {
  timeout: (SECONDS + 240) * 1_000,
}, async () => {
  const around = await readFile(new URL("support/aborting-worker.js", import.meta.url), "utf8");
  const service = await serveInTest({ settings: { SOCKETS_PER_OBJECT: "8", LINKS_PER_OBJECT: "4" }, around });
  const record = new Record();
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const channels = Array.from({ length: EACH }, (_, n) => CHANNELS[(i + n) % CHANNELS.length] ?? "");
    return new Soaker(`client${i}`, channels, record, () => service.url);
  });
  const living = clients.map((client) => client.run());
  const others = await Promise.all(
    Array.from({ length: HTTP_CLIENTS }, (_, i) => {
      const channels = Array.from({ length: EACH }, (_, n) => CHANNELS[(i + n) % CHANNELS.length] ?? "");
      return HttpSoaker.start(`other${i}`, channels, record, () => service.url.replace(/^ws/, "http"));
    }),
  );
  const all = [...clients, ...others];
  let isOver = false;
  let isSilent = false;
  const talking = all.map(async (client) => {
    while (!isOver) {
      await client.announce(any(CHANNELS));
      do await sleep(Math.random() * 500);
      while (isSilent && !isOver);
    }
  });
  const until = Date.now() + SECONDS * 1_000;
  let faults = 0;
  while (Date.now() < until) {
    await sleep(Math.random() * BETWEEN_FAULTS);
    isSilent = Math.random() < SILENT;
    if (isSilent) await sleep(SILENCE);
    isSilent = false;
    faults += 1;
    if (Math.random() < POWER_FAILS) await service.restart();
    else if (Math.random() < 0.3) await abort(service, any(CRASHING));
    else any(all).cut();
  }
  isOver = true;
  await Promise.all(talking);
  // Everyone comes to where everyone else is.
  const [speaker] = clients;
  const newest = new Map<string, string>();
  for (const channel of CHANNELS) newest.set(channel, (await speaker?.announce(channel)) ?? "");
  await Promise.all(all.map((client) => client.reach(newest)));
  for (const client of all) await client.stop();
  await Promise.all(living);
  const { announced, read, resumed, gaps, endings } = record;
  console.log({ faults, announced, read, resumed, gaps: gaps.length, endings });
  expect(record.faults).toEqual([]);
  expect(gaps).toEqual([]);
});

function any<T>(all: T[]): T {
  const [one] = all.slice(Math.floor(Math.random() * all.length));
  if (one === undefined) throw new Error("there is one");
  return one;
}

/** Has an object of the server crash. */
async function abort({ url }: Served, object: string): Promise<void> {
  await fetch(`${url.replace(/^ws/, "http")}/!abort/${encodeURIComponent(object)}`);
}
