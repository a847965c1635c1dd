/** What an object with links remembers, so that a crash leaves nobody with a hole that nobody tells of. */
import { expect, test } from "vitest";
import type { Delivery, DeliveryAnswer } from "../../../src/runtime/calls.ts";
import { type AlarmState, noKeeper, type Others, stillWorld } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** Characters that may wait. */
const MOST = 40;

/** The links of an object whose calls the test answers, and what their owner is told. */
function linksOf(
  object: string,
  rows = new Map<string, unknown>(),
  now = 100,
  alarm: AlarmState = { time: undefined },
) {
  const calls: { delivery: Delivery; answer: (answer: DeliveryAnswer) => void; fail: () => void }[] = [];
  const flushes = { due: 0 };
  const told: unknown[] = [];
  const others: Others = {
    deliver: (_, delivery) =>
      new Promise((answer, fail) => calls.push({ delivery, answer, fail: () => fail(new Error("lost")) })),
  };
  const runtime = { ...stillWorld(object, rows, others, alarm), now: () => now };
  const downstream = new LinkedChannel(
    runtime,
    MOST,
    { historySeconds: 0, historyBytes: 0 },
    {
      mark: () => {
        told.push("busy");
        alarm.time = (downstream.schedule.rest ?? 0) + 1;
      },
      flush: () => {
        flushes.due += 1;
      },
      due: (at) => void (Number.isFinite(at) && told.push("lost")),
      ended: (from) => told.push({ ended: from }),
    },
    noKeeper,
  );
  return { downstream, rows, calls, told, flushes, alarm };
}

const taken: DeliveryAnswer = { gone: false };

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

test("whoever has no links keeps and writes nothing, and owes nothing", () => {
  const { downstream, rows, told } = linksOf("news");
  const before = downstream.log.position ?? 0;
  expect(downstream.append("a\nb\n", 2).last).toBe(before + 2);
  expect({ rows: rows.size, size: downstream.log.size, told }).toEqual({ rows: 0, size: 0, told: [] });
  expect(downstream.settle(false)).toBe(true);
  expect(rows.size).toBe(0);
});

test("that something is under way is said once, before anything is sent, by another alarm than at rest", () => {
  const { downstream, rows, calls, told, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { position } = downstream.log;
  downstream.append("a\n", 1);
  downstream.append("b\n", 1);
  expect({ told, calls }).toEqual({ told: ["busy"], calls: [] });
  expect(rows.get("order")).toEqual({ position, busy: false, alarm: undefined, kept: false });
  expect(alarm.time).toBe(1);
});

test("nothing is settled before every link has everything, and then the position is written", async () => {
  const { downstream, rows, calls, told, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { last } = downstream.append("a\n", 1);
  // Owed, though nothing is under way; then under way.
  expect(downstream.settle(false)).toBe(false);
  downstream.flush();
  expect(downstream.settle(false)).toBe(false);
  calls[0]?.answer(taken);
  await settled();
  expect(downstream.settle(false)).toBe(true);
  expect(downstream.log.size).toBe(0);
  expect({ row: rows.get("order"), isBusy: downstream.isBusy }).toEqual({
    row: { position: last, busy: false, alarm: 1, kept: false },
    isBusy: false,
  });
  downstream.append("b\n", 1);
  expect({ told, alarm: alarm.time }).toEqual({ told: ["busy", "busy"], alarm: 2 });
});

test("a link that is lost holds up nothing but the call that tells it so", async () => {
  const { downstream, calls } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.loseAll();
  expect(calls.map(({ delivery }) => delivery)).toMatchObject([{ lost: true, count: 0, lines: "" }]);
  expect(downstream.settle(false)).toBe(false);
  calls[0]?.answer({ gone: true });
  await settled();
  expect([...downstream.objects]).toEqual([]);
  expect(downstream.settle(false)).toBe(true);
});

test("a child that misses something tells all its links at once, and forgets where it was", () => {
  const { downstream, rows, calls } = linksOf("news!1");
  downstream.log.begin(40);
  for (const from of ["home", "news!1!1"]) downstream.link({ from, epoch: 1 });
  downstream.relay("a\n", 1, 40);
  downstream.loseAll();
  expect(calls.map(({ delivery }) => delivery.lost)).toEqual([true, true]);
  expect(downstream.log.position).toBeUndefined();
  expect(rows.get("order")).toMatchObject({ position: undefined });
  for (const from of ["home", "news!1!1"]) {
    expect(rows.get(`downstream:${from}`)).toEqual({ epoch: 1, lostAt: 100 });
    expect(downstream.vouchFor(from)).toBeUndefined();
  }
});

test("who asks with an epoch that is too old is told the newest", () => {
  const { downstream } = linksOf("news");
  downstream.link({ from: "home", epoch: 5 });
  expect(downstream.link({ from: "home", epoch: 4 })).toEqual({ newer: 5 });
  expect(downstream.epochOf("home")).toBe(5);
  expect(downstream.epochOf("nobody")).toBeUndefined();
});

test("an object that says nobody listens there is linked no more, and storage is as before", async () => {
  const { downstream, rows, calls, told } = linksOf("all");
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  calls[0]?.answer({ gone: true });
  await settled();
  expect(told).toEqual(["busy", { ended: "home" }]);
  expect({ rows: rows.size, isBusy: downstream.isBusy }).toEqual({ rows: 0, isBusy: false });
  expect(downstream.log.size).toBe(0);
});

test("nobody is cut off while what has not arrived fits, however much has", async () => {
  const { downstream, rows, calls } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  for (let i = 0; i < 3; i++) downstream.append("0123456\n", 1);
  downstream.flush();
  for (let i = 0; i < 2; i++) downstream.append("0123456\n", 1);
  calls[0]?.answer(taken);
  await settled();
  for (let i = 0; i < 3; i++) downstream.append("0123456\n", 1);
  expect({ row: rows.get("downstream:home"), size: downstream.log.size }).toEqual({
    row: { epoch: 1, lostAt: undefined },
    size: MOST,
  });
  downstream.append("0123456\n", 1);
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 100 });
});

test("after a crash the order goes on beyond every position that may have been given", () => {
  const { downstream, rows, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  // A million messages a second, for a tenth of one.
  const { last } = downstream.append("a\n", 100_000);
  expect(linksOf("news", new Map(rows), 200, alarm).downstream.log.position).toBeGreaterThanOrEqual(last);
  // A child is told where it is.
  const child = linksOf("news!1");
  expect(child.downstream.log.position).toBeUndefined();
});

test("an object that slept goes on where it was", () => {
  const { downstream, rows } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { position } = downstream.log;
  const { downstream: next } = linksOf("news", new Map(rows), 200);
  expect({ position: next.log.position, objects: [...next.objects] }).toEqual({
    position,
    objects: ["home"],
  });
});
