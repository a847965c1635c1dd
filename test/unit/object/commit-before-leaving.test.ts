/** An object that settles stays in memory until its rows are committed. */
import { expect, test } from "vitest";
import { storeOf } from "../../simulation/store.ts";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";

test("an object that settles stays in memory until its rows are committed", async () => {
  const commit = Promise.withResolvers<void>();
  const timers: (() => void)[] = [];
  const kept = new Set<Promise<unknown>>();
  const store = Object.assign(storeOf(new Map()), { sync: () => commit.promise });
  const keep = (work: Promise<unknown>) => {
    kept.add(work);
    void work.finally(() => kept.delete(work));
  };
  const { broker, clock } = objectOf({
    name: "news",
    others: { tally: async () => undefined },
    platform: { store, keep, after: (_, act) => void timers.push(act) },
  });
  await broker.called("announce", { lines: "news!a\n", count: 1 }, 2);
  await settled();
  expect(kept.size).toBe(0);
  for (let second = 0; second < 3; second++) {
    clock.now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
  }
  expect(kept.size).toBe(1);
  commit.resolve();
  await settled();
  expect(kept.size).toBe(0);
});
