/** Connections whose token has expired are closed, and no others. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { Client, type Closing, closeAll } from "../support/client.ts";
import { pass, stopClock } from "../support/clock.ts";
import { expectDelivery, expectNoMore, sendAll } from "../support/connections.ts";
import { EVERYTHING, granting, seconds } from "../support/mint.ts";
import {
  alarmOf,
  evict,
  evictAll,
  hold,
  keys,
  object,
  resetService,
  rows,
  settleQuickly,
  unique,
} from "../support/service.ts";

settleQuickly();
stopClock();

const expired: Closing = {
  code: 1008,
  reason: "expired: your token has expired; connect again with a new one",
};

/** Connects with a token that grants everything for a number of seconds; clock skew adds 5. */
async function connect(channel: string, left: number): Promise<Client> {
  return Client.connect(channel, await granting({ ...EVERYTHING, exp: seconds() + left }));
}

/** Returns the time of the alarm for a token that expires after a number of seconds. */
function alarmFor(left: number): number {
  return (seconds() + left + 5) * 1_000;
}

describe("an alarm", () => {
  test.each([
    { state: "awake", sleep: async () => {} },
    { state: "asleep", sleep: (name: string) => evict(name) },
  ])(
    "closes those that have expired, one after another, in an object that is $state",
    { tags: ["close-expired"] },
    async ({ sleep }) => {
      const room = unique("room");
      // Out of order, and two at the same time.
      const late = await connect(room, 180);
      const soon = await connect(room, 60);
      const middle = await connect(room, 120);
      const twin = await connect(room, 120);
      expect(await alarmOf(room)).toBe(alarmFor(60));

      await sleep(room);
      pass(64.5);
      await runDurableObjectAlarm(object(room));
      await expectDelivery(soon, room, late, soon, middle, twin);
      expect(await alarmOf(room)).toBe(alarmFor(-4));

      await sleep(room);
      pass(0.5);
      expect(await runDurableObjectAlarm(object(room))).toBe(true);
      expect(await soon.closed).toEqual(expired);
      await expectDelivery(late, room, late, middle, twin);
      expect(await alarmOf(room)).toBe(alarmFor(55));

      await sleep(room);
      // Alarms may be late.
      pass(90);
      expect(await runDurableObjectAlarm(object(room))).toBe(true);
      expect(await Promise.all([middle.closed, twin.closed])).toEqual([expired, expired]);
      await expectDelivery(late, room, late);
      expect(await alarmOf(room)).toBe(alarmFor(25));

      await sleep(room);
      pass(30);
      expect(await runDurableObjectAlarm(object(room))).toBe(true);
      expect(await late.closed).toEqual(expired);
      await evict(room);
      expect(await alarmOf(room)).toBeNull();
      expect(await rows(room)).toEqual([]);
      expect(await keys("all")).not.toContain(`downstream:${room}`);
    },
  );

  test("fires for a token that has nearly expired when it is sent", async () => {
    const room = unique("room");
    const client = await connect(room, -4);
    await evict(room);
    expect(await alarmOf(room)).toBe(alarmFor(-4));
    pass(1);
    expect(await runDurableObjectAlarm(object(room))).toBe(true);
    expect(await client.closed).toEqual(expired);
  });

  // A time in milliseconds is a likely mistake. A failure here is an unhandled error.
  test.each([1e10, Date.now() + 3_600_000])("isn't needed for a token that expires at %d", async (exp) => {
    const room = unique("room");
    const client = await Client.connect(room, await granting({ ...EVERYTHING, exp }));
    const neighbour = await connect(room, 60);
    await evict(room);
    pass(65);
    expect(await runDurableObjectAlarm(object(room))).toBe(true);
    expect(await neighbour.closed).toEqual(expired);
    await expectDelivery(client, room, client);
  });

  test("is set for connections at the root of 'all' that receive nothing", async () => {
    await closeAll();
    await resetService();
    const client = await connect("", 60);
    await evict("all");
    expect(await alarmOf("all")).toBe(alarmFor(60));
    pass(65);
    expect(await runDurableObjectAlarm(object("all"))).toBe(true);
    expect(await client.closed).toEqual(expired);
  });

  test("for deliveries in flight doesn't replace the one for tokens", async () => {
    const [room, home] = [unique("room"), unique("home")];
    const local = await connect(room, 60);
    const remote = await connect(home, 120);
    await sendAll([remote], `subscribe ${room}`);
    for (let i = 0; i < 2; i++) {
      await evictAll();
      await expectDelivery(local, room, local, remote);
      await evictAll();
      // It fires without work to do, and is set again for the token.
      expect(await alarmOf(room)).toBeLessThanOrEqual(Date.now() + 10_000);
      await runDurableObjectAlarm(object(room));
      expect(await alarmOf(room)).toBe(alarmFor(60));
      expect(await alarmOf(home)).toBe(alarmFor(120));
    }
    // During a delivery, the alarm is due in 10 seconds, or earlier if a token expires.
    const delivery = hold(home, "deliver");
    remote.send(`announce ${room} last`);
    await delivery.begun();
    expect(await local.line()).toBe(`${room}!last`);
    expect(await alarmOf(room)).toBeLessThanOrEqual(Date.now() + 10_000);
    const brief = await connect(room, 0);
    expect(await alarmOf(room)).toBe(alarmFor(0));
    pass(65);
    expect(await runDurableObjectAlarm(object(room))).toBe(true);
    expect(await Promise.all([local.closed, brief.closed])).toEqual([expired, expired]);
    expect(await alarmOf(room)).toBeLessThanOrEqual(Date.now() + 10_000);
    delivery.release();
    expect(await remote.line()).toBe(`${room}!last`);
    await expectNoMore(remote);
  });

  test("is set for a new connection after all earlier ones have closed", async () => {
    const room = unique("room");
    for (const left of [60, 60, 90]) {
      const client = await connect(room, left);
      expect(await alarmOf(room)).toBe(alarmFor(left));
      await client.close();
      // The object is still in memory, but its storage is empty.
      await expect.poll(() => rows(room)).toEqual([]);
    }
  });

  test("fires for the earliest expiry, in any order of connections, and after an eviction", async () => {
    const room = unique("room");
    const first = await connect(room, 60);
    await evict(room);
    const later = await connect(room, 90);
    expect(await alarmOf(room)).toBe(alarmFor(60));
    await evict(room);
    const sooner = await connect(room, 30);
    expect(await alarmOf(room)).toBe(alarmFor(30));
    await Promise.all([first.close(), sooner.close()]);
    await evict(room);
    for (const left of [35, 30, 30]) {
      pass(left);
      await runDurableObjectAlarm(object(room));
    }
    expect(await later.closed).toEqual(expired);
  });
});

describe("a command of an expired connection", () => {
  test.each(["ping", "info", "", "announce ROOM 1", "subscribe OTHER", "unsubscribe ROOM", "nonsense"])(
    "closes the connection instead of being executed: '%s'",
    async (command) => {
      const [room, other] = [unique("room"), unique("other")];
      const client = await connect(room, 60);
      const neighbour = await connect(room, 600);
      const frame = command.replace("ROOM", room).replace("OTHER", other);
      pass(65);
      client.send(frame);
      client.send(new TextEncoder().encode(frame));
      expect(await client.closed).toEqual(expired);
      expect(await client.untilClosed()).toEqual([]);
      await expectDelivery(neighbour, room, neighbour);
      expect(await keys(other)).toEqual([]);
      expect(await alarmOf(room)).toBe(alarmFor(-5));
      // The alarm is too late for that one, and is set for the next.
      expect(await runDurableObjectAlarm(object(room))).toBe(true);
      expect(await alarmOf(room)).toBe(alarmFor(535));
    },
  );

  test("isn't executed if it is queued behind another one", async () => {
    const [room, third] = [unique("room"), unique("third")];
    const client = await connect(room, 60);
    const neighbour = await connect(room, 600);
    const link = hold(third, "link");
    client.send(`subscribe ${third}\nannounce ${room} 1`);
    client.send(`announce ${room} 2`);
    await link.begun();
    pass(65);
    expect(await runDurableObjectAlarm(object(room))).toBe(true);
    expect(await client.closed).toEqual(expired);
    link.release();
    await expectDelivery(neighbour, room, neighbour);
    await expectNoMore(neighbour);
    expect(await keys(third, "downstream:")).toEqual([]);
  });
});

test("a connection receives all earlier messages before it is closed", async () => {
  const room = unique("room");
  const client = await connect(room, 60);
  const neighbour = await connect(room, 600);
  client.send("ping");
  neighbour.send(`announce ${room} 1\nannounce ${room} 2`);
  expect(await neighbour.ping()).toEqual([`${room}!1`, `${room}!2`]);
  pass(65);
  await runDurableObjectAlarm(object(room));
  expect((await client.untilClosed()).filter((line) => line.startsWith(room))).toEqual([`${room}!1`, `${room}!2`]);
});

test("statistics are exact after connections have expired", async () => {
  await closeAll();
  await resetService();
  const [room, home] = [unique("room"), unique("home")];
  const operator = await granting({ ...EVERYTHING, operate: true, exp: seconds() + 600 });
  const witness = await Client.connect("", operator);
  const soon = [await connect(room, 60), await connect(room, 60), await connect(home, 60)];
  const stays = await connect(home, 600);
  await sendAll([...soon, stays], `subscribe ${room}\nsubscribe ${home}`);
  const before = await witness.info();
  expect(before).toMatchObject({ "current connections": "5", "current channels": "3", objects: "3" });
  pass(65);
  for (const name of [room, home]) expect(await runDurableObjectAlarm(object(name))).toBe(true);
  for (const client of soon) expect(await client.closed).toEqual(expired);
  const after = await witness.info();
  expect(after).toMatchObject({
    "current connections": "2",
    "current subscriptions": "4",
    "user-requested subscriptions": "2",
    "total connections": "5",
    "total unsubscribes": "9",
    "unreachable objects": "0",
  });
  expect(after["max connections"]).toBe(before["max connections"]);
  await evictAll();
  expect(await witness.info()).toMatchObject({ "current connections": "2", objects: "2" });
  await expectDelivery(stays, room, stays);
});
