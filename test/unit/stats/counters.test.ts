import { expect, test } from "vitest";
import { Counters } from "../../../src/stats/counters.ts";
import { hashesOf } from "../../../src/stats/distinct.ts";
import { Service } from "../../../src/stats/service.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { storeOf } from "../../simulation/store.ts";

/**
 * Creates the counters of an object, with or without a socket to persist them, and a clock that the test sets.
 * @param tooLarge properties that the socket has no room for
 */
function counters(rows = new Map<string, unknown>(), socket?: { kept: object | undefined }, tooLarge: string[] = []) {
  const time = { now: 0 };
  const keeper = {
    hasSlept: socket !== undefined,
    kept: structuredClone(socket?.kept),
    keep: (value: object) => {
      if (Object.keys(value).some((key) => tooLarge.includes(key))) return false;
      if (socket) socket.kept = structuredClone({ ...socket.kept, ...value });
      return socket !== undefined;
    },
  };
  const counters = new Counters(
    { runtime: { store: storeOf(rows), now: () => time.now }, connections: keeper },
    () => {},
  );
  counters.start();
  return { rows, time, counters };
}

/** The figures of a service that is used at a time. */
function serviceOf(rows: Map<string, unknown>, now: number): Service {
  const service = new Service(storeOf(rows));
  service.start(now);
  return service;
}

test("counters survive hibernation, in storage if there is no socket", () => {
  const { rows, counters: first } = counters();
  first.count("pings");
  first.count("messages", 3);
  first.count("announcements", 0);
  first.holds(2);
  expect(rows.size).toBe(0);
  first.settle();
  expect(counters(rows).counters.figures(1)).toEqual({
    totals: { ...noTotals(), pings: 1, messages: 3 },
    peak: 2,
  });
});

test("properties that others keep with the same socket don't change", () => {
  const socket: { kept: object | undefined } = { kept: undefined };
  const { counters: first } = counters(new Map(), socket);
  first.count("pings");
  first.settle();
  socket.kept = { ...socket.kept, position: 7 };
  const { counters: second } = counters(new Map(), socket);
  second.count("pings");
  second.settle();
  expect(socket.kept).toMatchObject({ position: 7, counted: { totals: { pings: 2 } } });
  expect(socket.kept).not.toHaveProperty("counted.position");
});

test("with a socket, counters are stored at most once a minute, however often the object hibernates", () => {
  const socket: { kept: object | undefined } = { kept: undefined };
  const rows = new Map<string, unknown>();
  /** Wakes an object at a time to count a ping. Returns the number of pings that it restores afterwards, and that storage has. */
  const wake = (now: number) => {
    const { time, counters: awake } = counters(rows, socket);
    time.now = now;
    awake.count("pings");
    awake.settle();
    const known = counters(rows, socket).counters.figures(0).totals.pings;
    return [known, counters(rows).counters.figures(0).totals.pings];
  };
  expect([60_000, 61_000, 119_999].map(wake)).toEqual([
    [1, 1],
    [2, 1],
    [3, 1],
  ]);
  // The attachment is older than the row written now.
  expect([120_000, 121_000].map(wake)).toEqual([
    [4, 4],
    [5, 4],
  ]);
});

test("counters that are all zero are not stored", () => {
  const { rows, counters: idle } = counters();
  idle.settle();
  expect(idle.takeReport()).toBeUndefined();
  expect(rows.size).toBe(0);
});

test("a report has all counters, and resets them", () => {
  const { rows, counters: ours } = counters();
  ours.count("pings");
  ours.note("calls.link");
  ours.holds(3);
  ours.settle();
  const report = { totals: { ...noTotals(), pings: 1, others: { "calls.link": 1 } }, peak: 3 };
  expect(ours.takeReport()).toEqual(report);
  expect(ours.takeReport()).toBeUndefined();
  expect(ours.figures(0)).toEqual({ totals: noTotals(), peak: 0 });
  expect(rows.size).toBe(0);
});

test("the root of `all` adds reports to its own counters", () => {
  const rows = new Map<string, unknown>();
  const service = serviceOf(rows, 100);
  service.add({ totals: { ...noTotals(), pings: 5 }, peak: 3 }, 4);
  const linked = {
    ...{ connections: 2, peak: 6, subscriptions: 2, requested: 1, objects: 1, unreachable: 0 },
    totals: { ...noTotals(), pings: 1 },
    channels: hashesOf(["all", "news"], 1),
  };
  // The peak of the service is an estimate: the peak of one object plus the connections of all others.
  const expected = { since: 100, peak: 7, channels: 2, totals: { ...noTotals(), pings: 6 } };
  expect(serviceOf(rows, 900).figures(linked)).toMatchObject(expected);
  expect(serviceOf(rows, 900).figures({ ...linked, peak: 9 })).toMatchObject({ peak: 9 });
});

test("event counters are persisted only if that costs no row", () => {
  const { rows, counters: unattached } = counters();
  unattached.note("calls.deliver", 3);
  unattached.settle();
  expect(rows.size).toBe(0);
  // Counters that a crash could lose are not reported, because metrics must not fall.
  expect(unattached.figures(0).totals.others).toBeUndefined();
  const socket: { kept: object | undefined } = { kept: undefined };
  const { counters: first } = counters(new Map(), socket);
  first.note("calls.deliver", 3);
  first.settle();
  expect(counters(new Map(), socket).counters.figures(1).totals.others).toEqual({ "calls.deliver": 3 });
});

test("refused rows are reported although storage refuses to persist their number", () => {
  const { counters: unattached } = counters();
  unattached.note("rows.refused", 3);
  unattached.note("calls.deliver", 3);
  unattached.settle();
  expect(unattached.figures(0).totals.others).toEqual({ "rows.refused": 3 });
});

test("event counters are dropped first if the socket has too little room", () => {
  const socket: { kept: object | undefined } = { kept: undefined };
  const rows = new Map<string, unknown>();
  const { counters: first } = counters(rows, socket, ["others"]);
  first.count("pings");
  first.note("calls.deliver", 3);
  first.settle();
  // Counters that a crash could lose are not reported.
  expect(first.figures(0).totals.others).toBeUndefined();
  rows.clear();
  expect(counters(rows, socket).counters.figures(0).totals).toMatchObject({ pings: 1 });
  const { counters: second } = counters(rows, socket, ["others", "counted"]);
  second.count("pings");
  second.settle();
  expect(counters(rows).counters.figures(0).totals).toMatchObject({ pings: 2 });
});

test("an object without connections reports its counters if they are worth a call", () => {
  const { counters: root } = counters();
  root.note("calls.deliver", 19);
  root.note("rows", 100);
  expect(root.takeWorthwhile()).toBeUndefined();
  root.note("calls.link");
  expect(root.takeWorthwhile()?.totals).toEqual({
    ...noTotals(),
    others: { "calls.deliver": 19, "calls.link": 1, rows: 100 },
  });
  expect(root.takeWorthwhile()).toBeUndefined();
  root.count("announcements");
  expect(root.takeWorthwhile()?.totals).toEqual({ ...noTotals(), announcements: 1 });
  root.note("members.leave");
  expect(root.takeWorthwhile()?.totals).toEqual({ ...noTotals(), others: { "members.leave": 1 } });
  expect(root.takeWorthwhile()).toBeUndefined();
});
