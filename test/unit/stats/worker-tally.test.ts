/** Reports of what the Worker refuses: rare, complete, and never more than one at a time. */
import { expect, test } from "vitest";
import type { Tally } from "../../../src/runtime/calls.ts";
import { MAX_INTERVAL, MIN_INTERVAL, WorkerTally } from "../../../src/stats/worker-tally.ts";
import { settled } from "../settled.ts";

/** A tally with a clock that the test sets, whose timers go off when the test passes their time. */
function tallyOf() {
  const time = { now: 1_000_000 };
  let timers: { at: number; fire: () => void }[] = [];
  const reports: { at: number; events: Tally }[] = [];
  const state = { fails: false };
  const tally = new WorkerTally({
    now: () => time.now,
    sleep: (milliseconds) => new Promise((fire) => timers.push({ at: time.now + milliseconds, fire })),
    keep: (work) => void work,
  });
  const send = async (events: Tally) => {
    reports.push({ at: time.now, events });
    if (state.fails) throw new Error("no answer");
  };
  return {
    reports,
    state,
    refuse: (n = 1) => {
      for (let i = 0; i < n; i++) tally.count("requests.forbidden", send);
    },
    pass: async (milliseconds: number) => {
      time.now += milliseconds;
      const due = timers.filter(({ at }) => at <= time.now);
      timers = timers.filter(({ at }) => at > time.now);
      for (const { fire } of due) fire();
      await settled();
    },
    /** Forgets all timers, as the platform does when a request is cancelled. */
    loseTimers: () => {
      timers = [];
    },
  };
}

/** Returns all events that reports have had. */
function total(reports: { events: Tally }[]): number {
  return reports.reduce((sum, { events }) => sum + (events["requests.forbidden"] ?? 0), 0);
}

test("the first refusal is reported at once, and those of the next ten seconds together", async () => {
  const { reports, refuse, pass } = tallyOf();
  refuse();
  await settled();
  expect(reports).toHaveLength(1);
  refuse(1_000);
  await pass(MIN_INTERVAL - 1);
  expect(reports).toHaveLength(1);
  await pass(1);
  expect(reports.map(({ events }) => events["requests.forbidden"])).toEqual([1, 1_000]);
});

test("an attack causes a report a minute, and none is lost", async () => {
  const { reports, refuse, pass } = tallyOf();
  let refused = 0;
  for (let second = 0; second < 3_600; second++) {
    refuse(10);
    refused += 10;
    await pass(1_000);
  }
  expect(reports.length).toBeLessThanOrEqual(3_600_000 / MAX_INTERVAL + 5);
  const gaps = reports.slice(1).map(({ at }, i) => at - (reports[i]?.at ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(MIN_INTERVAL);
  for (let second = 0; second < 180; second++) await pass(1_000);
  refuse();
  await settled();
  expect(total(reports)).toBe(refused + 1);
  // After a quiet time, reports are quick again.
  refuse();
  await pass(MIN_INTERVAL);
  expect(total(reports)).toBe(refused + 2);
});

test("a failed report is part of the next one", async () => {
  const { reports, state, refuse, pass } = tallyOf();
  state.fails = true;
  refuse();
  await settled();
  state.fails = false;
  refuse();
  await pass(MIN_INTERVAL);
  expect(reports.map(({ events }) => events["requests.forbidden"])).toEqual([1, 2]);
});

test("events are reported although the request was cancelled whose timer would have reported them", async () => {
  const { reports, refuse, pass, loseTimers } = tallyOf();
  refuse(2);
  await settled();
  loseTimers();
  await pass(MIN_INTERVAL + 1_000);
  refuse();
  await settled();
  expect(total(reports)).toBe(3);
});
