/** Rate limits don't need to survive hibernation. */
import { expect, onTestFinished, test, vi } from "vitest";
import { Client } from "../support/client.ts";
import { evict, unique } from "../support/service.ts";

/** Returns the delays of the timers that have gone off, in milliseconds. */
function delaysPassed(): number[] {
  const delays: number[] = [];
  const inTruth = globalThis.setTimeout;
  vi.stubGlobal("setTimeout", (act: () => void, delay = 0) =>
    inTruth(() => {
      delays.push(delay);
      act();
    }, delay),
  );
  onTestFinished(() => void vi.unstubAllGlobals());
  return delays;
}

test("an object stays in memory until the buckets of its connections are full", async () => {
  const home = unique("home");
  const client = await Client.connect(home);
  // The object has finished everything else.
  await evict(home);
  const passed = delaysPassed();
  expect(await client.ping()).toEqual([]);
  await evict(home);
  // An eviction discards timers.
  expect(passed).toContain(1_000);
});
