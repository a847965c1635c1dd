/** Many clients reconnect at once: none misses a message, and their objects bundle the calls. */
import { expect, test } from "vitest";
import { massReconnect, reconnectChannels } from "../../tools/bench/reconnects.ts";

const SUBSCRIBERS = 300;

test("clients that all reconnect at once miss and repeat nothing, and their objects ask for them together", async () => {
  const { missed, repeated, gaps, asked } = await massReconnect(SUBSCRIBERS, 3, true);
  expect({ missed, repeated, gaps }).toEqual({ missed: 0, repeated: 0, gaps: 0 });
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(SUBSCRIBERS / 4);
});

test("clients that reconnect without a position miss messages", async () => {
  const { missed, asked } = await massReconnect(SUBSCRIBERS, 3, false);
  expect(missed).toBeGreaterThan(0);
  expect(asked).toBe(0);
});

const CHANNELS = 100;
const LINKS = 5;

test.each([false, true])(
  "channels that reconnect at once don't each ask the root of `all`; after a power failure: %s",
  async (powerFails) => {
    const { root, children } = await reconnectChannels(CHANNELS, powerFails, LINKS);
    expect(root).toBeLessThan(CHANNELS / 2);
    expect(children).toBeGreaterThan(CHANNELS / 2);
  },
);
