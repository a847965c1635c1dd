/** What an object with links stores, so that every gap is reported after a crash. */
import { expect, test } from "vitest";
import type { DeliveryAnswer } from "../../../src/runtime/calls.ts";
import { settled } from "../settled.ts";
import { type AlarmState, type DeliveryCall, delivering, fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** The most characters that are buffered. */
const MAX_BUFFERED = 40;

/** The links of an object whose calls the test answers, and their events. */
function linksOf(
  object: string,
  rows = new Map<string, unknown>(),
  now = 100,
  alarm: AlarmState = { time: undefined },
) {
  const calls: DeliveryCall[] = [];
  const flushes = { due: 0 };
  const events: unknown[] = [];
  const runtime = { ...fakeRuntime(object, rows, delivering(calls), alarm), now: () => now };
  const downstream = new LinkedChannel(
    runtime,
    MAX_BUFFERED,
    { historySeconds: 0, historyBytes: 0 },
    {
      mark: () => {
        events.push("busy");
        alarm.time = (downstream.schedule.rest ?? 0) + 1;
      },
      flush: () => {
        flushes.due += 1;
      },
      due: (at) => void (Number.isFinite(at) && events.push("lost")),
      ended: (from) => events.push({ ended: from }),
    },
    noKeeper,
  );
  return { downstream, rows, calls, events, flushes, alarm };
}

const accepted: DeliveryAnswer = { gone: false };

test("without links, nothing is buffered, stored or pending", () => {
  const { downstream, rows, events } = linksOf("news");
  const before = downstream.log.position ?? 0;
  expect(downstream.append("a\nb\n", 2).last).toBe(before + 2);
  expect({ rows: rows.size, size: downstream.log.size, events }).toEqual({ rows: 0, size: 0, events: [] });
  expect(downstream.settle(false)).toBe(true);
  expect(rows.size).toBe(0);
});

test("the alarm marks pending deliveries once, before the first call", () => {
  const { downstream, rows, calls, events, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { position } = downstream.log;
  downstream.append("a\n", 1);
  downstream.append("b\n", 1);
  expect({ events, calls }).toEqual({ events: ["busy"], calls: [] });
  expect(rows.get("order")).toEqual({ position, busy: false, alarm: undefined, kept: false });
  expect(alarm.time).toBe(1);
});

test("an object settles once every link has everything, and stores the position then", async () => {
  const { downstream, rows, calls, events, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { last } = downstream.append("a\n", 1);
  // Deliveries are pending at first, then in flight.
  expect(downstream.settle(false)).toBe(false);
  downstream.flush();
  expect(downstream.settle(false)).toBe(false);
  calls[0]?.answer(accepted);
  await settled();
  expect(downstream.settle(false)).toBe(true);
  expect(downstream.log.size).toBe(0);
  expect({ row: rows.get("order"), isBusy: downstream.isBusy }).toEqual({
    row: { position: last, busy: false, alarm: 1, kept: false },
    isBusy: false,
  });
  downstream.append("b\n", 1);
  expect({ events, alarm: alarm.time }).toEqual({ events: ["busy", "busy"], alarm: 2 });
});

test("a lost link only delays settling until its loss is reported", async () => {
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

test("a child that has lost messages reports the loss to all its links, and forgets its position", () => {
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

test("the answer to a request with an outdated epoch is the newest epoch", () => {
  const { downstream } = linksOf("news");
  downstream.link({ from: "home", epoch: 5 });
  expect(downstream.link({ from: "home", epoch: 4 })).toEqual({ newer: 5 });
  expect(downstream.epochOf("home")).toBe(5);
  expect(downstream.epochOf("unknown")).toBeUndefined();
});

test("an object without subscribers is unlinked by its answer, and storage is empty again", async () => {
  const { downstream, rows, calls, events } = linksOf("all");
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  calls[0]?.answer({ gone: true });
  await settled();
  expect(events).toEqual(["busy", { ended: "home" }]);
  expect({ rows: rows.size, isBusy: downstream.isBusy }).toEqual({ rows: 0, isBusy: false });
  expect(downstream.log.size).toBe(0);
});

test("links are cut off only if pending messages exceed the buffer, whatever was delivered before", {
  tags: ["link-buffer"],
}, async () => {
  const { downstream, rows, calls } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  for (let i = 0; i < 3; i++) downstream.append("0123456\n", 1);
  downstream.flush();
  for (let i = 0; i < 2; i++) downstream.append("0123456\n", 1);
  calls[0]?.answer(accepted);
  await settled();
  for (let i = 0; i < 3; i++) downstream.append("0123456\n", 1);
  expect({ row: rows.get("downstream:home"), size: downstream.log.size }).toEqual({
    row: { epoch: 1, lostAt: undefined },
    size: MAX_BUFFERED,
  });
  downstream.append("0123456\n", 1);
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 100 });
});

test("after a crash, positions continue beyond all that may have been assigned", () => {
  const { downstream, rows, alarm } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  // A million messages per second, for 0.1 seconds.
  const { last } = downstream.append("a\n", 100_000);
  expect(linksOf("news", new Map(rows), 200, alarm).downstream.log.position).toBeGreaterThanOrEqual(last);
  // A child learns its position from its parent.
  const child = linksOf("news!1");
  expect(child.downstream.log.position).toBeUndefined();
});

test("an object that has hibernated continues from its position", () => {
  const { downstream, rows } = linksOf("news");
  downstream.link({ from: "home", epoch: 1 });
  const { position } = downstream.log;
  const { downstream: next } = linksOf("news", new Map(rows), 200);
  expect({ position: next.log.position, objects: [...next.objects] }).toEqual({
    position,
    objects: ["home"],
  });
});
