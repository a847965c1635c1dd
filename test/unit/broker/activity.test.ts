/** When an object has been quiet for long enough to write down what it must not forget. */
import { expect, test } from "vitest";
import { Activity } from "../../../src/broker/activity.ts";
import { stillWorld } from "../links/world.ts";

/** Activity whose seconds pass when the test says so, and what comes of each. */
function activity() {
  const timers: { milliseconds: number; act: () => void }[] = [];
  const said: string[] = [];
  const state = { stays: false };
  const world = {
    ...stillWorld("news", new Map()),
    after: (milliseconds: number, act: () => void) => void timers.push({ milliseconds, act }),
  };
  const all = new Activity(world, {
    passed: (seconds) => {
      said.push(`${seconds}`);
      return state.stays;
    },
    settle: () => said.push("settle"),
  });
  /** Lets a second pass. */
  const pass = () => {
    const due = timers.splice(0);
    expect(due.map(({ milliseconds }) => milliseconds)).toEqual([1_000]);
    for (const { act } of due) act();
    return said.splice(0);
  };
  return { all, pass, timers, state };
}

test("after a second without events an object settles, and waits for nothing more", () => {
  const { all, pass, timers } = activity();
  all.note();
  expect(all.count).toBe(1);
  expect(pass()).toEqual(["1", "settle"]);
  expect(timers).toEqual([]);
});

test("while there are events seconds are counted, and the count begins anew after a quiet time", () => {
  const { all, pass } = activity();
  all.note();
  for (const seconds of ["1", "2", "3"]) {
    all.note();
    expect(pass()).toEqual([seconds]);
  }
  expect(pass()).toEqual(["4", "settle"]);
  all.note();
  expect(pass()).toEqual(["1", "settle"]);
});

test("an object that has to stay does not settle before it need not any more", () => {
  const { all, pass, state } = activity();
  state.stays = true;
  all.note();
  expect([pass(), pass()]).toEqual([["1"], ["2"]]);
  state.stays = false;
  expect(pass()).toEqual(["3", "settle"]);
});
