/** All come back at once: nobody misses anything, and no object is asked by each of them. */
import { expect, test } from "vitest";
import { massReturn, returnOfMany } from "../../tools/bench/returns.ts";

const LISTENERS = 300;

test("of listeners that come back at once none misses or repeats any, and their objects ask for them together", async () => {
  const { missed, repeated, gaps, asked } = await massReturn(LISTENERS, 3, true);
  expect({ missed, repeated, gaps }).toEqual({ missed: 0, repeated: 0, gaps: 0 });
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(LISTENERS / 4);
});

test("who comes back plainly has missed some", async () => {
  const { missed, asked } = await massReturn(LISTENERS, 3, false);
  expect(missed).toBeGreaterThan(0);
  expect(asked).toBe(0);
});

const CHANNELS = 100;
const LINKS = 5;

test.each([false, true])(
  "channels that come back at once do not each ask the root of `all`, the power has failed: %s",
  async (powerFails) => {
    const { root, children } = await returnOfMany(CHANNELS, powerFails, LINKS);
    expect(root).toBeLessThan(CHANNELS / 2);
    expect(children).toBeGreaterThan(CHANNELS / 2);
  },
);
