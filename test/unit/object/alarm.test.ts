/** One alarm for all that is due later. */
import { expect, test } from "vitest";
import { Alarm } from "../../../src/object/alarm.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

interface State {
  now: number;
  time: number | undefined;
  sets: number;
  takes: boolean;
}

/** An alarm, the time that it is set for last, and how often it was set. */
function alarmOf(expiry = Number.POSITIVE_INFINITY) {
  const time = Number.isFinite(expiry) ? expiry : undefined;
  const state: State = { now: 1_000, time, sets: 0, takes: true };
  const runtime = {
    ...fakeRuntime("news", new Map()),
    now: () => state.now,
    alarm: (time: number) => {
      if (state.takes) state.time = time;
      state.sets += 1;
      return Promise.resolve(state.takes);
    },
    alarmTime: () => state.time,
  };
  const alarm = new Alarm(runtime);
  alarm.expireAt(expiry);
  return { alarm, state };
}

test("what is unfinished is looked at again after ten seconds, however often that is said", () => {
  const { alarm, state } = alarmOf();
  alarm.mark();
  state.now += 9_000;
  alarm.mark();
  expect(state).toMatchObject({ time: 11_000, sets: 1 });
  state.time = undefined;
  alarm.mark();
  expect(state).toMatchObject({ time: 20_000, sets: 2 });
});

test("what is under way shows by an alarm for another time than when nothing was", () => {
  const { alarm, state } = alarmOf();
  alarm.mark();
  alarm.rest = state.time;
  alarm.mark();
  expect(state).toMatchObject({ time: 10_999, sets: 2 });
  alarm.mark();
  expect(state.sets).toBe(2);
  // One that has gone off says nothing either; nor may one that is set for what ends just then.
  state.time = undefined;
  alarm.expireAt(11_000);
  expect(state.time).toBe(10_999);
});

test("it goes off for what comes first, and is never put off", () => {
  const { alarm, state } = alarmOf(50_000);
  expect(alarm.expiry).toBe(50_000);
  alarm.mark();
  expect(state.time).toBe(11_000);
  alarm.expireAt(20_000);
  expect([state.time, alarm.expiry]).toEqual([11_000, 20_000]);
  alarm.expireAt(5_000);
  alarm.mark();
  expect(state.time).toBe(5_000);
  void alarm.goOffNow();
  void alarm.goOffNow();
  expect(state.time).toBe(1_000);
  alarm.expireAt(Number.POSITIVE_INFINITY);
  expect(state).toMatchObject({ time: 1_000, sets: 3 });
});

test("what storage did not take is set with whatever comes next", async () => {
  const { alarm, state } = alarmOf();
  state.takes = false;
  expect(await alarm.due(5_000)).toBe(false);
  expect(await alarm.due(Number.POSITIVE_INFINITY)).toBe(false);
  state.takes = true;
  expect(await alarm.due(9_000)).toBe(true);
  expect(state.time).toBe(5_000);
  state.time = undefined;
  expect(await alarm.due(Number.POSITIVE_INFINITY)).toBe(true);
  expect(state.time).toBeUndefined();
});
