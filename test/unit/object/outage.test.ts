import { expect, test } from "vitest";
import { Outage } from "../../../src/object/outage.ts";
import { newKeeper } from "../tree/fake-runtime.ts";

test("the longer the root of `all` does not answer, the more rarely it is asked, also after sleep", () => {
  const keeper = newKeeper();
  const clock = { now: 1_000_000 };
  const now = () => clock.now;
  const times: number[] = [];
  for (let life = 0; life < 9; life++) {
    const outage = new Outage(keeper, { now });
    expect(outage.isOver).toBe(true);
    outage.goOn();
    expect(outage.isOver).toBe(false);
    times.push(outage.askAgainAt - clock.now);
    clock.now = outage.askAgainAt;
  }
  expect(times.map((time) => time / 1000)).toEqual([10, 10, 20, 40, 80, 160, 320, 600, 600]);
});

test("once it has answered, there is nothing to ask", () => {
  const keeper = newKeeper();
  const outage = new Outage(keeper, { now: () => 1_000_000 });
  outage.goOn();
  outage.end();
  expect([outage.isOver, outage.askAgainAt]).toEqual([true, Number.POSITIVE_INFINITY]);
  expect(new Outage(keeper, { now: () => 1_000_000 }).askAgainAt).toBe(Number.POSITIVE_INFINITY);
});
