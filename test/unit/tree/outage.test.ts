import { expect, test } from "vitest";
import type { Keeper } from "../../../src/runtime/runtime.ts";
import { Outage } from "../../../src/tree/outage.ts";
import { fakeRuntime, newKeeper } from "./fake-runtime.ts";
import { scheduleOf } from "./linked-channel.ts";

function outageOf(keeper: Keeper, now = () => 1_000_000): Outage {
  const outage = new Outage({
    runtime: { ...fakeRuntime("news", new Map()), now },
    connections: keeper,
    schedule: scheduleOf(),
  });
  outage.start();
  return outage;
}

test("the longer the root of `all` is unreachable, the less often it is asked, even after hibernation", () => {
  const keeper = newKeeper();
  const clock = { now: 1_000_000 };
  const now = () => clock.now;
  const times: number[] = [];
  for (let wake = 0; wake < 9; wake++) {
    const outage = outageOf(keeper, now);
    expect(outage.mayAsk).toBe(true);
    outage.goOn();
    expect(outage.mayAsk).toBe(false);
    times.push(outage.askAgainAt - clock.now);
    clock.now = outage.askAgainAt;
  }
  expect(times.map((time) => time / 1000)).toEqual([10, 10, 20, 40, 80, 160, 320, 600, 600]);
});

test("after an answer, the outage is over", () => {
  const keeper = newKeeper();
  const outage = outageOf(keeper);
  outage.goOn();
  outage.end();
  expect([outage.mayAsk, outage.askAgainAt]).toEqual([true, Number.POSITIVE_INFINITY]);
  expect(outageOf(keeper).askAgainAt).toBe(Number.POSITIVE_INFINITY);
});
