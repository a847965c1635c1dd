/** An object's alarm, which serves all its due times. */
import { expect, test } from "vitest";
import { Alarm } from "../../../src/object/alarm.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

interface State {
  now: number;
  time: number | undefined;
  sets: number;
  accepts: boolean;
}

/** An alarm, its newest time, and how often it was set. */
function alarmOf(expiry = Number.POSITIVE_INFINITY) {
  const time = Number.isFinite(expiry) ? expiry : undefined;
  const state: State = { now: 1_000, time, sets: 0, accepts: true };
  const runtime = {
    ...fakeRuntime("news", new Map()),
    now: () => state.now,
    alarm: (time: number) => {
      if (state.accepts) state.time = time;
      state.sets += 1;
      return Promise.resolve(state.accepts);
    },
    alarmTime: () => state.time,
  };
  const alarm = new Alarm(runtime);
  alarm.expireAt(expiry);
  return { alarm, state };
}

test("pending work is retried after ten seconds, however often it is marked", () => {
  const { alarm, state } = alarmOf();
  alarm.mark();
  state.now += 9_000;
  alarm.mark();
  expect(state).toMatchObject({ time: 11_000, sets: 1 });
  state.time = undefined;
  alarm.mark();
  expect(state).toMatchObject({ time: 20_000, sets: 2 });
});

test("pending work sets the alarm to another time than at rest", () => {
  const { alarm, state } = alarmOf();
  alarm.mark();
  alarm.rest = state.time;
  alarm.mark();
  expect(state).toMatchObject({ time: 10_999, sets: 2 });
  alarm.mark();
  expect(state.sets).toBe(2);
  // After the alarm has gone off, an expiry must not set it to the time at rest either.
  state.time = undefined;
  alarm.expireAt(11_000);
  expect(state.time).toBe(10_999);
});

test("the alarm goes off at the earliest due time, and is never postponed", () => {
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

test("a time that storage refused is set with the next one", async () => {
  const { alarm, state } = alarmOf();
  state.accepts = false;
  expect(await alarm.due(5_000)).toBe(false);
  expect(await alarm.due(Number.POSITIVE_INFINITY)).toBe(false);
  state.accepts = true;
  expect(await alarm.due(9_000)).toBe(true);
  expect(state.time).toBe(5_000);
  state.time = undefined;
  expect(await alarm.due(Number.POSITIVE_INFINITY)).toBe(true);
  expect(state.time).toBeUndefined();
});
