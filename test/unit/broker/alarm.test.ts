/** One alarm for all that is due later. */
import { expect, test } from "vitest";
import { Alarm } from "../../../src/broker/alarm.ts";
import { stillWorld } from "../links/world.ts";

/** An alarm, the time that it is set for last, and how often it was set. */
function alarmOf(expiry = Number.POSITIVE_INFINITY) {
  const state: { now: number; time: number | undefined; sets: number } = {
    now: 1_000,
    time: undefined,
    sets: 0,
  };
  const world = {
    ...stillWorld("news", new Map()),
    now: () => state.now,
    alarm: (time: number | undefined) => {
      state.time = time;
      state.sets += 1;
    },
  };
  return { alarm: new Alarm(world, expiry), state };
}

test("what is unfinished is looked at again after ten seconds, however often that is said", () => {
  const { alarm, state } = alarmOf();
  alarm.watch();
  state.now += 9_000;
  alarm.watch();
  expect(state).toMatchObject({ time: 11_000, sets: 1 });
  alarm.unwatch();
  expect(state.time).toBeUndefined();
  alarm.unwatch();
  expect(state.sets).toBe(2);
});

test("what is said after the time has come, though the alarm has not gone off yet, sets it anew", () => {
  const { alarm, state } = alarmOf();
  alarm.watch();
  state.now = 11_000;
  alarm.watch();
  expect(state.time).toBe(21_000);
});

test("it goes off for what comes first", () => {
  const { alarm, state } = alarmOf(5_000);
  expect(alarm.expiry).toBe(5_000);
  alarm.watch();
  expect(state.time).toBe(5_000);
  alarm.expireAt(20_000);
  expect(state.time).toBe(11_000);
  alarm.unwatch();
  expect(state.time).toBe(20_000);
  alarm.expireAt(Number.POSITIVE_INFINITY);
  expect(state.time).toBeUndefined();
});

test("once it has gone off nothing is due that is not said again", () => {
  const { alarm, state } = alarmOf(5_000);
  alarm.watch();
  alarm.rang();
  expect({ time: state.time, expiry: alarm.expiry }).toEqual({
    time: undefined,
    expiry: Number.POSITIVE_INFINITY,
  });
  alarm.watch();
  expect(state.time).toBe(11_000);
});
