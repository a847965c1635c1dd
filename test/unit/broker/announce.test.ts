/** What a Worker is answered that announces. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/broker/broker.ts";
import { readLimits } from "../../../src/broker/limits.ts";
import { stillWorld } from "../links/world.ts";

const none = { acceptWebSocket: () => {}, getWebSockets: () => [] };

/** A root without connections, whose storage takes rows or does not. */
function root(takes: boolean): Broker {
  const world = stillWorld("news", new Map());
  const store = takes ? world.store : { ...world.store, put: () => false };
  return new Broker({ ...world, store }, none, readLimits({}), undefined);
}

test("it is told the position, but where sleep may take that back", async () => {
  const announcement = { lines: "news!a\nnews!b\n", count: 2 };
  expect(await root(true).called("announce", announcement, 2)).toEqual({ last: 100_002 });
  expect(await root(false).called("announce", announcement, 2)).toEqual({ last: undefined });
});
