/** When an object has been quiet for long enough to write down what it must not forget. */
import { expect, test } from "vitest";
import { Activity } from "../../../src/object/activity.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

/** Activity whose time passes when the test says so, and what comes of it. */
function activity() {
  const timers: { milliseconds: number; act: () => void }[] = [];
  const said: string[] = [];
  const state = { stays: false, now: 0 };
  const runtime = {
    ...fakeRuntime("news", new Map()),
    now: () => state.now,
    after: (milliseconds: number, act: () => void) => void timers.push({ milliseconds, act }),
  };
  const all = new Activity(runtime);
  all.start({
    passed: () => {
      said.push("passed");
      return state.stays;
    },
    settle: () => said.push("settle"),
  });
  /** Lets the time pass that is waited for. */
  const pass = () => {
    const [{ milliseconds, act } = { milliseconds: 0, act: () => {} }] = timers.splice(0);
    state.now += milliseconds;
    act();
    return [milliseconds, ...said.splice(0)];
  };
  return { all, pass, timers, state };
}

test("a second after the last event an object settles, and waits for nothing more", () => {
  const { all, pass, timers, state } = activity();
  all.note();
  expect(all.count).toBe(1);
  expect(pass()).toEqual([1_000, "passed", "settle"]);
  expect(timers).toEqual([]);
  all.note();
  state.now += 700;
  all.note();
  state.now -= 700;
  expect(pass()).toEqual([1_000, "passed"]);
  expect(pass()).toEqual([700, "passed", "settle"]);
});

test("an object that has to stay does not settle before it need not any more", () => {
  const { all, pass, state } = activity();
  state.stays = true;
  all.note();
  expect([pass(), pass()]).toEqual([
    [1_000, "passed"],
    [1_000, "passed"],
  ]);
  state.stays = false;
  expect(pass()).toEqual([1_000, "passed", "settle"]);
});
