/** Rate limits don't need to survive hibernation. */
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { evict, unique } from "../support/service.ts";

test("an object stays in memory until the buckets of its connections are full", async () => {
  const home = unique("home");
  const client = await Client.connect(home);
  // The object has finished everything else.
  await evict(home);
  expect(await client.ping()).toEqual([]);
  const answered = Date.now();
  await evict(home);
  // The reply took some time.
  expect(Date.now() - answered).toBeGreaterThan(900);
});
