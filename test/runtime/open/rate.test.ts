/** Why a bucket need not outlive hibernation. */
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { evict, unique } from "../support/service.ts";

test("an object stays in memory until the buckets of its connections are full", async () => {
  const home = unique("home");
  const client = await Client.connect(home);
  // Whatever else was to be settled has been.
  await evict(home);
  expect(await client.ping()).toEqual([]);
  const answered = Date.now();
  await evict(home);
  // The answer took some time to arrive.
  expect(Date.now() - answered).toBeGreaterThan(900);
});
