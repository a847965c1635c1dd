/** An object settles, storing its state, once it has been quiet for a second. */
import { expect, test } from "vitest";
import { Activity } from "../../../src/object/activity.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/** Activity in a runtime whose time the test lets pass, and its events. */
function activityOf() {
  const timers: { milliseconds: number; act: () => void }[] = [];
  const events: string[] = [];
  const state = { stays: false, now: 0 };
  const runtime = {
    ...fakeRuntime("news", new Map()),
    now: () => state.now,
    after: (milliseconds: number, act: () => void) => void timers.push({ milliseconds, act }),
  };
  const upkeep = {
    passed: () => {
      events.push("passed");
      return state.stays;
    },
    settle: () => events.push("settle"),
  };
  const activity = new Activity({ runtime, upkeep });
  /** Lets the time of the next timer pass; returns it, and the events. */
  const pass = () => {
    const [{ milliseconds, act } = { milliseconds: 0, act: () => {} }] = timers.splice(0);
    state.now += milliseconds;
    act();
    return [milliseconds, ...events.splice(0)];
  };
  return { activity, pass, timers, state };
}

test("an object settles a second after its last event, and then has no timer", () => {
  const { activity, pass, timers, state } = activityOf();
  activity.note();
  expect(activity.count).toBe(1);
  expect(pass()).toEqual([1_000, "passed", "settle"]);
  expect(timers).toEqual([]);
  activity.note();
  state.now += 700;
  activity.note();
  state.now -= 700;
  expect(pass()).toEqual([1_000, "passed"]);
  expect(pass()).toEqual([700, "passed", "settle"]);
});

test("an object that has to stay in memory doesn't settle before it may leave", () => {
  const { activity, pass, state } = activityOf();
  state.stays = true;
  activity.note();
  expect([pass(), pass()]).toEqual([
    [1_000, "passed"],
    [1_000, "passed"],
  ]);
  state.stays = false;
  expect(pass()).toEqual([1_000, "passed", "settle"]);
});
