/** How often objects are polled, however many clients ask. */
import { expect, test } from "vitest";
import type { ServiceFigures } from "../../../src/runtime/calls.ts";
import { polling } from "../../../src/stats/polling.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { settled } from "../settled.ts";

/** Creates the polling of so many objects, whose polls the test ends. */
function pollingOf(objects: number) {
  const clock = { now: 1_000 };
  const polls: { answer: () => void; fail: () => void }[] = [];
  const figures = (since: number): ServiceFigures => ({
    ...{
      since,
      objects,
      unreachable: 0,
      channels: 0,
      connections: 0,
      subscriptions: 0,
      requested: 0,
      peak: 0,
    },
    totals: noTotals(),
  });
  const answer = polling<ServiceFigures>(
    () =>
      new Promise((resolve, reject) => {
        const number = polls.length + 1;
        polls.push({
          answer: () => resolve(figures(number)),
          fail: () => reject(new Error("no answer")),
        });
      }),
    ({ objects }) => objects,
    () => clock.now,
  );
  /** Asks, and returns the number of the poll that answered. */
  const ask = async () => (await answer()).since;
  return { polls, ask, clock };
}

test("one poll runs at a time, and no answer is older than its request", async () => {
  const { polls, ask } = pollingOf(3);
  const first = ask();
  await settled();
  const later = [ask(), ask(), ask()];
  await settled();
  expect(polls).toHaveLength(1);
  polls[0]?.answer();
  expect(await first).toBe(1);
  await settled();
  expect(polls).toHaveLength(2);
  polls[1]?.answer();
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  const last = ask();
  await settled();
  polls[2]?.answer();
  expect(await last).toBe(3);
});

test("the next poll runs after one that fails", async () => {
  const { polls, ask } = pollingOf(3);
  const failing = ask();
  await settled();
  const next = ask();
  polls[0]?.fail();
  await expect(failing).rejects.toThrow("no answer");
  await settled();
  polls[1]?.answer();
  expect(await next).toBe(2);
});

test.each([
  { objects: 10, until: 1_000 },
  { objects: 11, until: 1_110 },
  { objects: 1_000, until: 11_000 },
])("the figures of $objects objects are cached until $until", async ({ objects, until }) => {
  const { polls, ask, clock } = pollingOf(objects);
  const first = ask();
  await settled();
  polls[0]?.answer();
  await first;
  if (until > clock.now) {
    clock.now = until - 1;
    expect(await ask()).toBe(1);
  }
  clock.now = until;
  const next = ask();
  await settled();
  polls[1]?.answer();
  expect(await next).toBe(2);
});
