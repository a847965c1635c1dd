import { expect, test } from "vitest";
import { PositionWaiters } from "../../../src/tree/position-waiters.ts";
import { settled } from "../settled.ts";

/** Waiters with a clock that the test sets, and the positions whose waiters have resolved. */
function waitersOf() {
  const clock = { now: 0 };
  const waiters = new PositionWaiters({ now: () => clock.now });
  const arrived: string[] = [];
  const wait = async (channel: string, position: number) => {
    await waiters.wait(channel, position);
    arrived.push(`${channel} ${position}`);
  };
  return { waiters, clock, arrived, wait };
}

test("waiters resolve when their position is reached, or when their link ends", async () => {
  const { waiters, arrived, wait } = waitersOf();
  for (const position of [3, 5]) void wait("news", position);
  void wait("sport", 1);
  waiters.reach("news", 4);
  await settled();
  expect(arrived).toEqual(["news 3"]);
  waiters.releaseAll("news");
  await settled();
  expect(arrived).toEqual(["news 3", "news 5"]);
  expect(waiters.hasAny).toBe(true);
  waiters.reach("sport", 1);
  expect(waiters.hasAny).toBe(false);
});

test("a message is overdue if it hasn't arrived after 100 seconds", () => {
  const { waiters, clock, wait } = waitersOf();
  void wait("news", 3);
  clock.now = 50_000;
  void wait("sport", 1);
  clock.now = 99_999;
  expect(waiters.overdue).toEqual([]);
  clock.now = 100_000;
  expect(waiters.overdue).toEqual(["news"]);
});
