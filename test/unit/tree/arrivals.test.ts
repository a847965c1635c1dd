import { expect, test } from "vitest";
import { Arrivals } from "../../../src/tree/arrivals.ts";

/** Arrivals by a clock that the test sets, and the positions that have been waited for long enough. */
function arrivalsOf() {
  const clock = { now: 0 };
  const arrivals = new Arrivals({ now: () => clock.now });
  const arrived: string[] = [];
  const wait = async (channel: string, position: number) => {
    await arrivals.wait(channel, position);
    arrived.push(`${channel} ${position}`);
  };
  return { arrivals, clock, arrived, wait };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await undefined;
}

test("a position is waited for until it is reached, or never will be", async () => {
  const { arrivals, arrived, wait } = arrivalsOf();
  for (const position of [3, 5]) void wait("news", position);
  void wait("sport", 1);
  arrivals.reach("news", 4);
  await settled();
  expect(arrived).toEqual(["news 3"]);
  arrivals.giveUp("news");
  await settled();
  expect(arrived).toEqual(["news 3", "news 5"]);
  expect(arrivals.areAwaited).toBe(true);
  arrivals.reach("sport", 1);
  expect(arrivals.areAwaited).toBe(false);
});

test("a message is late that has its position for 100 seconds, and has not arrived", () => {
  const { arrivals, clock, wait } = arrivalsOf();
  void wait("news", 3);
  clock.now = 50_000;
  void wait("sport", 1);
  clock.now = 99_999;
  expect(arrivals.late).toEqual([]);
  clock.now = 100_000;
  expect(arrivals.late).toEqual(["news"]);
});
