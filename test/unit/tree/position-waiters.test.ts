import { expect, test } from "vitest";
import { PositionWaiters } from "../../../src/tree/position-waiters.ts";

/** PositionWaiters by a clock that the test sets, and the positions that have been waited for long enough. */
function arrivalsOf() {
  const clock = { now: 0 };
  const waiters = new PositionWaiters({ now: () => clock.now });
  const arrived: string[] = [];
  const wait = async (channel: string, position: number) => {
    await waiters.wait(channel, position);
    arrived.push(`${channel} ${position}`);
  };
  return { waiters, clock, arrived, wait };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await undefined;
}

test("a position is waited for until it is reached, or never will be", async () => {
  const { waiters, arrived, wait } = arrivalsOf();
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

test("a message is late that has its position for 100 seconds, and has not arrived", () => {
  const { waiters, clock, wait } = arrivalsOf();
  void wait("news", 3);
  clock.now = 50_000;
  void wait("sport", 1);
  clock.now = 99_999;
  expect(waiters.overdue).toEqual([]);
  clock.now = 100_000;
  expect(waiters.overdue).toEqual(["news"]);
});
