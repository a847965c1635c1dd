/** One alarm for all that is due later. */
import { expect, test } from "vitest";
import { Alarm } from "../../../src/broker/alarm.ts";
import { stillWorld } from "../links/world.ts";

/** An alarm, the time that it is set for last, and how often it was set. */
function alarmOf(expiry = Number.POSITIVE_INFINITY) {
  const state: { now: number; time: number | undefined; rest: number | undefined; sets: number } = {
    now: 1_000,
    rest: undefined,
    time: Number.isFinite(expiry) ? expiry : undefined,
    sets: 0,
  };
  const world = {
    ...stillWorld("news", new Map()),
    now: () => state.now,
    alarm: (time: number) => {
      state.time = time;
      state.sets += 1;
      return Promise.resolve(true);
    },
    alarmTime: () => state.time,
  };
  return { alarm: new Alarm(world, expiry, () => state.rest), state };
}

test("what is unfinished is looked at again after ten seconds, however often that is said", () => {
  const { alarm, state } = alarmOf();
  alarm.watch();
  state.now += 9_000;
  alarm.watch();
  expect(state).toMatchObject({ time: 11_000, sets: 1 });
  state.time = undefined;
  alarm.watch();
  expect(state).toMatchObject({ time: 20_000, sets: 2 });
});

test("what is under way shows by an alarm for another time than when nothing was", () => {
  const { alarm, state } = alarmOf();
  alarm.watch();
  state.rest = state.time;
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
  alarm.watch();
  expect(state.time).toBe(11_000);
  alarm.expireAt(20_000);
  expect([state.time, alarm.expiry]).toEqual([11_000, 20_000]);
  alarm.expireAt(5_000);
  alarm.watch();
  expect(state.time).toBe(5_000);
  void alarm.beginAnew();
  void alarm.beginAnew();
  expect(state.time).toBe(1_000);
  alarm.expireAt(Number.POSITIVE_INFINITY);
  expect(state).toMatchObject({ time: 1_000, sets: 3 });
});
