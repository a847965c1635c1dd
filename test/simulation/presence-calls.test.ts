import { beforeEach, expect, test } from "vitest";
import type { Action } from "./network.ts";
import { CALM } from "./profile.ts";
import { Scheduler } from "./scheduler.ts";
import type { SimulatedClient } from "./sim-client.ts";
import { Simulation } from "./simulation.ts";

const MANY = 50;

/** The calls between objects since the test began, by kind. */
let calls: Map<string, number>;
let simulation: Simulation;
let scheduler: Scheduler;

beforeEach(() => {
  calls = new Map();
  simulation = new Simulation(() => 0, { ...CALM, withHistory: true, withPresence: true, withCrowds: true });
  scheduler = new Scheduler(simulation, () => 0);
  simulation.observe = ({ kind }) => calls.set(kind, (calls.get(kind) ?? 0) + 1);
});

/** Has many clients connect to the same object, and enter `a` at once. */
async function crowd(): Promise<SimulatedClient[]> {
  const clients = Array.from({ length: MANY }, () => simulation.connect("a"));
  await scheduler.quiesce();
  enter(clients);
  await scheduler.quiesce();
  return clients;
}

function enter(clients: SimulatedClient[]): void {
  for (const [i, client] of clients.entries()) client.enter("a", { member: `m${i}`, data: "" });
}

test("clients of an object that enter at once share a few calls", async () => {
  await crowd();
  expect(simulation.members.log("a").members.size).toBe(MANY);
  expect(calls.get("present")).toBeLessThanOrEqual(3);
});

test("a mass return within the grace period announces nothing, and takes a few calls", async () => {
  const clients = await crowd();
  const announced = simulation.members.log("a").all.length;
  calls.clear();
  for (const client of clients) simulation.disconnect(client);
  await scheduler.pass(5_000);
  const returned = clients.map(() => simulation.connect("a"));
  await scheduler.pass(1_000);
  enter(returned);
  await scheduler.pass(60_000);
  expect(simulation.members.log("a").all.length).toBe(announced);
  expect(calls.get("present")).toBeLessThanOrEqual(6);
});

test("an object that crashes soon after its clients entered is noticed without any traffic", async () => {
  const clients = await crowd();
  for (const client of clients) client.leave("a");
  enter(clients);
  await scheduler.pass(1_000);
  expect(simulation.members.log("a").members.size).toBe(MANY);
  simulation.objects.crash(simulation.objects.of("a"));
  await scheduler.pass(40_000);
  expect([...simulation.members.log("a").members]).toEqual([]);
});

test("a report that is carried out late changes nothing", async () => {
  const client = simulation.connect("a");
  await scheduler.quiesce();
  client.enter("a", { member: "ann", data: "" });
  const late = await loseReport();
  await performUntilAnswered(client, late);
  client.leave("a");
  await performUntilAnswered(client, late);
  const announced = simulation.members.log("a").all.length;
  await scheduler.quiesce();
  expect(simulation.members.log("a").all.length).toBe(announced);
});

test.fails("a report of a leave that is repeated doesn't cut the next grace period short", async () => {
  const [one, other] = [simulation.connect("a"), simulation.connect("b")];
  await scheduler.quiesce();
  one.enter("a", { member: "ann", data: "" });
  await scheduler.quiesce();
  one.leave("a");
  await performUntil(() => simulation.members.log("a").members.size === 0);
  await loseAnswer();
  // The retry waits for a timer of the object `a`.
  const { timers } = simulation.objects;
  const isOfOne = ({ label }: Action) => label.startsWith("a after");
  const held = timers.filter(isOfOne);
  timers.splice(0, timers.length, ...timers.filter((timer) => !isOfOne(timer)));
  other.enter("a", { member: "ann", data: "" });
  await scheduler.pass(1_000);
  simulation.disconnect(other);
  await scheduler.pass(1_000);
  timers.push(...held);
  await scheduler.pass(10_000);
  expect([...simulation.members.log("a").members.keys()]).toEqual(["ann"]);
});

async function performUntil(isOver: () => boolean): Promise<void> {
  while (!isOver()) await simulation.perform(nextAction());
}

/** Loses the answer to a report that has been carried out. */
async function loseAnswer(): Promise<void> {
  const fault = simulation.objects.network
    .faults()
    .find(({ label }) => label.startsWith("lost: a -> presence/a: present"));
  if (!fault) throw new Error("no answer is on its way");
  await simulation.perform(fault);
}

/** Has the next report fail at its sender, to be carried out later; returns its label. */
async function loseReport(): Promise<string> {
  const start = "failed, executed later: ";
  for (;;) {
    const fault = simulation.objects.network
      .faults()
      .find(({ label }) => label.startsWith(`${start}a -> presence/a: present`));
    const next = fault ?? nextAction();
    await simulation.perform(next);
    if (fault) return fault.label.slice(start.length);
  }
}

/** Continues until a client has all replies, but without the call with this label. */
async function performUntilAnswered(client: SimulatedClient, late: string): Promise<void> {
  while (client.unanswered) await simulation.perform(nextAction(({ label }) => label !== late));
}

function nextAction(isAllowed: (action: Action) => boolean = () => true): Action {
  const next = scheduler.pending().find(isAllowed);
  if (!next) throw new Error("nothing is pending");
  return next;
}

test("members who stay cost nothing: no call, no timer, no alarm but for what expires", async () => {
  await crowd();
  await scheduler.silence();
  calls.clear();
  simulation.trace.length = 0;
  await scheduler.pass(3_600_000);
  expect(calls).toEqual(new Map());
  expect(simulation.trace.filter((line) => !line.endsWith("pass"))).toEqual([]);
});
