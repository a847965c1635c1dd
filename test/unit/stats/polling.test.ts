/** How often everyone is asked, however many want to know. */
import { expect, test } from "vitest";
import type { ServiceFigures } from "../../../src/runtime/calls.ts";
import { Polling } from "../../../src/stats/polling.ts";
import { noTotals } from "../../../src/stats/totals.ts";

/** The polling of so many objects, whose questions are answered when the test says so. */
function pollingOf(objects: number) {
  const clock = { now: 1_000 };
  const asked: { answer: () => void; fail: () => void }[] = [];
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
  const polling = new Polling<ServiceFigures>(
    () =>
      new Promise((resolve, reject) => {
        const number = asked.length + 1;
        asked.push({
          answer: () => resolve(figures(number)),
          fail: () => reject(new Error("nobody answers")),
        });
      }),
    ({ objects }) => objects,
    () => clock.now,
  );
  /** The number of the question whose answer one gets who wants to know now. */
  const ask = async () => (await polling.answer()).since;
  return { asked, ask, clock };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

test("one question goes round at a time, and an answer is never older than the question", async () => {
  const { asked, ask } = pollingOf(3);
  const first = ask();
  await settled();
  const later = [ask(), ask(), ask()];
  await settled();
  expect(asked).toHaveLength(1);
  asked[0]?.answer();
  expect(await first).toBe(1);
  await settled();
  expect(asked).toHaveLength(2);
  asked[1]?.answer();
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  const last = ask();
  await settled();
  asked[2]?.answer();
  expect(await last).toBe(3);
});

test("a question that fails is not in the way of the next one", async () => {
  const { asked, ask } = pollingOf(3);
  const failing = ask();
  await settled();
  const next = ask();
  asked[0]?.fail();
  await expect(failing).rejects.toThrow("nobody answers");
  await settled();
  asked[1]?.answer();
  expect(await next).toBe(2);
});

test.each([
  { objects: 10, until: 1_000 },
  { objects: 11, until: 1_110 },
  { objects: 1_000, until: 11_000 },
])("what $objects objects said is told until $until", async ({ objects, until }) => {
  const { asked, ask, clock } = pollingOf(objects);
  const first = ask();
  await settled();
  asked[0]?.answer();
  await first;
  if (until > clock.now) {
    clock.now = until - 1;
    expect(await ask()).toBe(1);
  }
  clock.now = until;
  const next = ask();
  await settled();
  asked[1]?.answer();
  expect(await next).toBe(2);
});
