/** Trees of real objects: with room for one connection and one link in each, anything makes one. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import {
  crash,
  crashBusy,
  evictAll,
  keys,
  resetService,
  rows,
  settleQuickly,
  unique,
} from "../support/service.ts";

settleQuickly();

let channel: string;
let crowd: Client[];

/** Four connections at one channel: one in its root, one in its child, and so on down. */
beforeEach(async () => {
  channel = unique("channel");
  crowd = [];
  for (let i = 0; i < 4; i++) crowd.push(await Client.connect(channel));
});

afterEach(async () => {
  await closeAll();
  await resetService();
});

/** Everyone announces, and all of `subscribers` read that next. */
async function everyoneSpeaks(...subscribers: Client[]): Promise<void> {
  for (const client of subscribers) await expectDelivery(client, channel, ...subscribers);
}

test("what anyone announces is read by all, awake or asleep", async () => {
  for (const below of ["", "!1", "!1!1"]) {
    expect(await keys(channel + below, "downstream:")).toEqual([`downstream:${channel}${below}!1`]);
  }
  await everyoneSpeaks(...crowd);
  await evictAll();
  await everyoneSpeaks(...crowd);
  await sendAll(crowd, "unsubscribe all\nsubscribe all");
  const [first] = crowd;
  if (first) await expectDelivery(first, "all", ...crowd);
});

test("children leave when nobody hears through them, and are used again", async () => {
  const [root, one, two, three] = crowd;
  if (!root || !one || !two || !three) throw new Error("nobody is there");
  await Promise.all([one.close(), three.close()]);
  await evictAll();
  // The first child is there for the second one.
  expect(await keys(channel, "downstream:")).toEqual([`downstream:${channel}!1`]);
  expect(await rows(`${channel}!1!1!1`)).toEqual([]);
  const again = await Client.connect(channel);
  await everyoneSpeaks(root, two, again);
  await Promise.all([two.close(), again.close()]);
  await evictAll();
  for (const below of ["!1", "!1!1", "!1!1!1"]) expect(await rows(channel + below)).toEqual([]);
  expect(await rows(channel, "downstream:")).toEqual([]);
  await everyoneSpeaks(root);
});

test("objects that listen from elsewhere hang on each other when the root has no room", async () => {
  const afar: Client[] = [];
  for (let i = 0; i < 4; i++) afar.push(await Client.connect(unique("afar")));
  await sendAll(afar, `subscribe ${channel}`);
  await everyoneSpeaks(...crowd, ...afar);
  await evictAll();
  await everyoneSpeaks(...afar, ...crowd);
  await sendAll(afar, `unsubscribe ${channel}`);
  await everyoneSpeaks(...crowd);
});

test("a child that crashes loses its own connections, and nobody else's", async () => {
  const [root, one, two, three] = crowd;
  if (!root || !one || !two || !three) throw new Error("nobody is there");
  await evictAll();
  await crash(`${channel}!1!1!1`);
  expect((await three.closed).code).toBe(1006);
  await everyoneSpeaks(root, one, two);
  await evictAll();
  expect(await keys(`${channel}!1!1`, "downstream:")).toEqual([]);
});

test("a root that crashes in mid-delivery has everyone in the tree told", async () => {
  const [root, ...others] = crowd;
  await evictAll();
  await crashBusy(channel);
  expect((await root?.closed)?.code).toBe(1006);
  await (await Client.connect(channel)).ping();
  for (const client of others) expect(await client.closed).toMatchObject({ code: 1013 });
});

test("figures are those of all objects, level by level", async () => {
  const [first] = crowd;
  first?.send("info");
  const told = (await first?.lines(17))?.map((line) => line.split(": "));
  expect(Object.fromEntries(told ?? [])).toMatchObject({
    "current connections": "4",
    "current channels": "2",
    "current subscriptions": "8",
    "user-requested subscriptions": "4",
    objects: "4",
    "unreachable objects": "0",
  });
});
