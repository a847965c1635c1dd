/**
 * A thousand members whose connections break at random, while objects crash and the power fails. Watchers must agree on
 * every change, and no member who comes back in time may be seen leaving. `SEED=…` repeats the decisions of the members
 * and of the faults; `MINUTES=10` runs longer.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { listMembers, presenceOf } from "../../src/protocol/members.ts";
import { Dice } from "./support/dice.ts";
import { SEED } from "./support/seed.ts";
import { type Served, serveInTest } from "./support/serve.ts";
import { MemberTruth, PresenceSoak, Seat, Watcher } from "./support/soak-member.ts";

const SECONDS = 60 * Number(process.env.MINUTES ?? 2);
/** The grace period, in seconds. */
const GRACE = 6;
/** How much later than the grace period members are gone at the latest, in seconds. */
const LATER = 20;

const MEMBERS = 1_000;
/** One of so many members has two connections. */
const TWICE = 10;
const CHANNELS = ["room0", "room1", "room2", "room3"];
const HOMES = [...CHANNELS, ...Array.from({ length: 6 }, (_, i) => `home/${i}`)];
/** Watchers of each channel. */
const WATCHERS = 3;

/** Objects that crash, the time between faults in milliseconds, and the number of power failures. */
const CRASHING = [...HOMES, ...CHANNELS.map(presenceOf)];
const BETWEEN_FAULTS = 3_000;
const POWER_FAILS = 2;

test(`for ${SECONDS} s of faults, members who come back in time are never seen leaving`, {
  timeout: (SECONDS + 240) * 1_000,
}, async () => {
  console.log(`SEED=${SEED}`);
  const dice = new Dice(SEED);
  const around = await readFile(new URL("support/aborting-worker.js", import.meta.url), "utf8");
  const service = await serveInTest({ settings: { PRESENCE_GRACE_SECONDS: String(GRACE) }, around });
  const soak = new PresenceSoak(() => service.url, GRACE * 1_000);
  const { truths, seats } = populate(soak, dice);
  const watchers = CHANNELS.flatMap((channel) =>
    Array.from({ length: WATCHERS }, (_, i) => {
      return new Watcher(soak, `watcher${i}`, channel, [channel, "home/0", "watch"][i] ?? "watch", dice.split());
    }),
  );
  const watching = watchers.map((watcher) => watcher.run());
  const running = seats.map((seat) => seat.run());

  const began = Date.now();
  let powerFails = 0;
  let crashes = 0;
  while (Date.now() < began + SECONDS * 1_000) {
    await sleep(dice.below(2 * BETWEEN_FAULTS));
    if (powerFails < POWER_FAILS && Date.now() - began > (SECONDS * 1_000 * (powerFails + 1)) / (POWER_FAILS + 1)) {
      powerFails += 1;
      await failPower(service, soak);
    } else if (dice.below(1) < 0.5) {
      crashes += 1;
      await crash(service, soak, dice.any(CRASHING));
    } else dice.any(watchers).cut();
  }

  for (const seat of seats) seat.stop();
  await Promise.all(running);
  // Some come back after the last power failure; the others can only be missed by the server.
  const isBack = new Map([...truths].map((truth) => [truth, truth.data !== undefined && dice.below(1) < 0.6]));
  await failPower(service, soak);
  for (const [truth, comesBack] of isBack) if (!comesBack) truth.gone();
  const returning = seats.filter(
    (seat, i) => isBack.get(seat.truth) && seats.findIndex((other) => other.truth === seat.truth) === i,
  );
  await Promise.all(
    returning.map(async (seat) => {
      await sleep(dice.below(GRACE * 500));
      await seat.comeBack(seat.truth.data ?? "");
    }),
  );
  const dueAt = Math.max(Date.now(), soak.faultAt + GRACE * 1_000);
  const expected = new Map(
    CHANNELS.map((channel) => {
      const present = [...truths].filter((truth) => truth.channel === channel && truth.isPresent);
      return [channel, listMembers(new Map(present.map(({ name, data }) => [name, data ?? ""])))];
    }),
  );
  await Promise.all(watchers.map((watcher) => watcher.reach(expected.get(watcher.channel) ?? [])));
  const late = (Date.now() - dueAt) / 1_000;
  for (const channel of CHANNELS) {
    const url = `${service.url.replace(/^ws/, "http")}/${presenceOf(channel)}?members`;
    const answer: unknown = await (await fetch(url)).json();
    expect(answer).toMatchObject({ members: expected.get(channel) });
  }
  for (const watcher of watchers) watcher.stop();
  await Promise.all(watching);
  for (const seat of seats) seat.cut();

  const { changes, commands, returns, resumed } = soak;
  const present = [...expected.values()].flat().length;
  console.log({ powerFails: powerFails + 1, crashes, changes, commands, returns, resumed, present, late });
  const leaves = new Map(CHANNELS.map((channel) => [channel, soak.leavesIn(channel)]));
  const flapping = [...truths].filter(
    ({ channel, name, mayLeave }) => (leaves.get(channel)?.get(name) ?? 0) > mayLeave,
  );
  expect(soak.faults).toEqual([]);
  expect(flapping.map(({ name }) => name)).toEqual([]);
  // Otherwise nothing was judged.
  expect([...leaves.values()].every(({ size }) => size > 0)).toBe(true);
  expect(returns.inTime).toBeGreaterThan(MEMBERS / 4);
  expect(late).toBeLessThan(LATER);
});

/** Creates the members, each with one or two connections. */
function populate(soak: PresenceSoak, dice: Dice): { truths: Set<MemberTruth>; seats: Seat[] } {
  const truths = new Set<MemberTruth>();
  const seats: Seat[] = [];
  for (let i = 0; i < MEMBERS; i++) {
    const truth = new MemberTruth(soak, CHANNELS[i % CHANNELS.length] ?? "", `member${i}`);
    truths.add(truth);
    const connections = i % TWICE === 0 ? 2 : 1;
    for (let n = 0; n < connections; n++) {
      const own = dice.split();
      seats.push(new Seat(soak, truth, own, own.any(HOMES), connections === 1));
    }
  }
  return { truths, seats };
}

/** Kills the server, and starts it again. */
async function failPower(service: Served, soak: PresenceSoak): Promise<void> {
  soak.faultAt = Date.now();
  await service.kill();
  soak.faultAt = Date.now();
  await service.restart();
}

/** Crashes an object of the server. */
async function crash({ url }: Served, soak: PresenceSoak, object: string): Promise<void> {
  soak.faultAt = Date.now();
  await fetch(`${url.replace(/^ws/, "http")}/!abort/${encodeURIComponent(object)}`);
}
