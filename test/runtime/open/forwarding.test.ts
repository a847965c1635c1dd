/** Announcements are forwarded to the root of their channel. */
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { intercept, unique } from "../support/service.ts";

test("10,000 announcements in one frame, for another root's channel, are one call", async () => {
  const [home, channel] = [unique("home"), unique("elsewhere")];
  const listener = await Client.connect(channel);
  const publisher = await Client.connect(home);
  let calls = 0;
  intercept(channel, "forward", (execute) => {
    calls += 1;
    return execute();
  });
  publisher.send(Array.from({ length: 10_000 }, (_, i) => `announce ${channel} ${i}`).join("\n"));
  expect(await publisher.ping()).toEqual([]);
  expect(await listener.lines(10_000)).toEqual(Array.from({ length: 10_000 }, (_, i) => `${channel}!${i}`));
  expect(calls).toBe(1);
});
