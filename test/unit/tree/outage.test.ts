import { expect, test } from "vitest";
import type { Keeper } from "../../../src/runtime/runtime.ts";
import { Outage } from "../../../src/tree/outage.ts";
import { newKeeper } from "./fake-runtime.ts";
import { scheduleOf } from "./linked-channel.ts";

function outageOf(keeper: Keeper, now = () => 1_000_000): Outage {
  const outage = new Outage({ now }, keeper, scheduleOf());
  outage.start();
  return outage;
}

test("the longer the root of `all` does not answer, the more rarely it is asked, also after sleep", () => {
  const keeper = newKeeper();
  const clock = { now: 1_000_000 };
  const now = () => clock.now;
  const times: number[] = [];
  for (let life = 0; life < 9; life++) {
    const outage = outageOf(keeper, now);
    expect(outage.mayAsk).toBe(true);
    outage.goOn();
    expect(outage.mayAsk).toBe(false);
    times.push(outage.askAgainAt - clock.now);
    clock.now = outage.askAgainAt;
  }
  expect(times.map((time) => time / 1000)).toEqual([10, 10, 20, 40, 80, 160, 320, 600, 600]);
});

test("once it has answered, there is nothing to ask", () => {
  const keeper = newKeeper();
  const outage = outageOf(keeper);
  outage.goOn();
  outage.end();
  expect([outage.mayAsk, outage.askAgainAt]).toEqual([true, Number.POSITIVE_INFINITY]);
  expect(outageOf(keeper).askAgainAt).toBe(Number.POSITIVE_INFINITY);
});
