/** Trees of real objects, which have room for one connection and one link each. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import { crash, crashBusy, evictAll, keys, resetService, rows, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

let channel: string;
let crowd: Client[];

/** Four connections to one channel, each at the child of the one before. */
beforeEach(async () => {
  channel = unique("channel");
  crowd = [];
  for (let i = 0; i < 4; i++) crowd.push(await Client.connect(channel));
});

afterEach(async () => {
  await closeAll();
  await resetService();
});

/** Each client announces, and expects that all of `subscribers` receive that next. */
async function everyoneSpeaks(...subscribers: Client[]): Promise<void> {
  for (const client of subscribers) await expectDelivery(client, channel, ...subscribers);
}

test("all clients receive each message, before and after evictions", { tags: ["any-size"] }, async () => {
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

test("children unlink when they have no subscribers, and are used again", async () => {
  const [root, one, two, three] = crowd;
  if (!root || !one || !two || !three) throw new Error("nobody is there");
  await Promise.all([one.close(), three.close()]);
  await evictAll();
  // The first child stays because of the second one.
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

test("linked objects link to each other when the root is full", async () => {
  const afar: Client[] = [];
  for (let i = 0; i < 4; i++) afar.push(await Client.connect(unique("afar")));
  await sendAll(afar, `subscribe ${channel}`);
  await everyoneSpeaks(...crowd, ...afar);
  await evictAll();
  await everyoneSpeaks(...afar, ...crowd);
  await sendAll(afar, `unsubscribe ${channel}`);
  await everyoneSpeaks(...crowd);
});

test("a child that crashes loses only its own connections", { tags: ["crash-own-connections"] }, async () => {
  const [root, one, two, three] = crowd;
  if (!root || !one || !two || !three) throw new Error("nobody is there");
  await evictAll();
  await crash(`${channel}!1!1!1`);
  expect((await three.closed).code).toBe(1006);
  await everyoneSpeaks(root, one, two);
  await evictAll();
  expect(await keys(`${channel}!1!1`, "downstream:")).toEqual([]);
});

test("a root that crashes during deliveries closes all connections of its tree", { tags: ["close-lost"] }, async () => {
  const [root, ...others] = crowd;
  await evictAll();
  await crashBusy(channel);
  expect((await root?.closed)?.code).toBe(1006);
  await (await Client.connect(channel)).ping();
  for (const client of others) expect(await client.closed).toMatchObject({ code: 1013 });
});

test("statistics include all levels of the tree", async () => {
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
