/** The connection limit of the whole service, with a CLIENT_LIMIT of 4. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery } from "../support/connections.ts";
import { crash, evict, evictAll, hold, keys, resetService, rows, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

beforeEach(() => resetService());
afterEach(closeAll);

const LIMIT = 4;

/** Connects as many clients as allowed: two on one channel, the others on channels of their own. */
function fill(): Promise<Client[]> {
  const room = unique("room");
  return Promise.all([room, room, unique("room"), ""].map((channel) => Client.connect(channel)));
}

/** Connects one client above the limit, and expects its refusal. */
async function expectBusy(channel: string): Promise<void> {
  const client = await Client.open(channel);
  client.send("announce all from one too many\nping");
  expect(await client.line()).toBe("debug!busy");
  expect(await client.closed).toEqual({
    code: 1013,
    reason: "unavailable: the service has reached its connection limit; connect again later",
  });
}

test("clients are accepted up to the limit, and the next one is told that the service is full", {
  tags: ["close-busy", "client-limit"],
}, async () => {
  const clients = await fill();
  const [first, ...others] = clients;
  if (!first) throw new Error("nobody is there");
  await expectBusy("");
  await expectBusy(unique("room"));
  await expectDelivery(first, "all", ...clients);
  expect(await first.info()).toMatchObject({
    "client-limit": String(LIMIT),
    "limit rejected connections": "2",
    "current connections": String(LIMIT),
    "total connections": String(LIMIT),
  });
  await others[0]?.close();
  // Its object reports to the root of `all` before it becomes idle.
  await evictAll();
  const successor = await Client.connect(unique("room"));
  await expectBusy(unique("room"));
  await expectDelivery(successor, "all", first, successor);
});

test("simultaneous clients are accepted up to the limit, at any objects", async () => {
  const channels = ["", "", unique("room"), unique("room"), unique("room"), unique("room"), unique("room")];
  const clients = await Promise.all(channels.map((channel) => Client.open(channel)));
  const greetings = await Promise.all(clients.map((client) => client.line()));
  expect(greetings.filter((line) => line === "debug!connected...")).toHaveLength(LIMIT);
  expect(greetings.filter((line) => line === "debug!busy")).toHaveLength(channels.length - LIMIT);
});

test("the count survives evictions", async () => {
  const clients = await fill();
  await evictAll();
  await expectBusy(unique("room"));
  for (const client of clients.slice(2)) await client.close();
  await evictAll();
  await Promise.all([Client.connect(unique("room")), Client.connect(unique("room"))]);
  await expectBusy(unique("room"));
});

test("connections lost in a crash make room, although nothing reports them", async () => {
  const room = unique("room");
  const clients = await Promise.all(["", "", room, room].map((channel) => Client.connect(channel)));
  await crash(room);
  for (const client of clients.slice(2)) expect((await client.closed).code).toBe(1006);
  // Each refusal makes the root check one object's count.
  for (;;) {
    const client = await Client.open(unique("room"));
    const line = await client.line();
    await evictAll();
    if (line !== "debug!busy") break;
  }
  await Client.connect(unique("room"));
  await expectBusy(unique("room"));
});

test("while the count is unavailable, all clients are accepted, and those above the limit are closed later", {
  tags: ["all-unreachable"],
}, async () => {
  const claim = hold("all", "claim");
  const room = unique("room");
  const clients = await Promise.all(Array.from({ length: LIMIT + 1 }, () => Client.connect(room)));
  const [first] = clients;
  if (!first) throw new Error("nobody is there");
  await expectDelivery(first, room, ...clients);
  claim.release();
  const ended = await Promise.race(clients.map((client) => client.closed));
  expect(ended).toMatchObject({ code: 1013 });
  await evictAll();
  expect(clients.filter((client) => !client.hasEnded)).toHaveLength(LIMIT);
  await expectBusy(unique("room"));
});

test("counting leaves no rows behind, for accepted and refused clients", async () => {
  const room = unique("room");
  const clients = await Promise.all(["", room, room, room].map((channel) => Client.connect(channel)));
  const refused = unique("room");
  await expectBusy(refused);
  await evict(refused);
  expect(await keys(refused)).toEqual([]);
  expect(await rows("all", "held:")).toEqual([
    ["held:all", 1],
    [`held:${room}`, 3],
  ]);
  for (const client of clients) await client.close();
  await evictAll();
  expect(await keys("all", "held:")).toEqual([]);
  expect(await keys(room)).toEqual([]);
});
