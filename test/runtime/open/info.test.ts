/**
 * `info` tells figures of the whole service, exactly, whichever object is asked, and whatever the
 * objects that counted them have been through.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import { evictAll, failOnce, resetService, settleQuickly, unique } from "../support/service.ts";
import { figures } from "../support/stats.ts";

settleQuickly();

beforeEach(() => resetService());
afterEach(closeAll);

/** What `Client.info` pings before it asks. */
const OWN_PINGS = 1;

interface Play {
  title: string;
  /** Does something and gives those who are connected in the end. */
  act(): Promise<Client[]>;
  figures: Record<string, number>;
}

const plays: Play[] = [
  {
    title: "one connection",
    act: async () => [await Client.connect()],
    figures: {
      "max connections": 1,
      "current connections": 1,
      "current channels": 1,
      "current subscriptions": 1,
      "user-requested subscriptions": 0,
      "total connections": 1,
      "total announcements": 0,
      "total messages": 0,
      "total subscribes": 1,
      "total unsubscribes": 0,
      "total pings": 0,
      objects: 1,
    },
  },
  {
    title: "one connection to a channel",
    act: async () => [await Client.connect(unique("room"))],
    figures: {
      "max connections": 1,
      "current connections": 1,
      "current channels": 2,
      "current subscriptions": 2,
      "user-requested subscriptions": 1,
      "total connections": 1,
      "total subscribes": 2,
      objects: 1,
    },
  },
  {
    title: "connections and channels in several objects",
    act: async () => {
      const [x, y, z] = [unique("x"), unique("y"), unique("z")];
      const a = await Client.connect(x);
      const b = await Client.connect(x);
      const c = await Client.connect(y);
      const d = await Client.connect();
      await sendAll([c], `subscribe ${x}\nsubscribe ${z}\nunsubscribe all`);
      await sendAll([d], `subscribe ${x}`);
      await expectDelivery(a, x, a, b, c, d);
      await expectDelivery(d, "all", a, b, d);
      await expectDelivery(c, z, c);
      return [a, b, c, d];
    },
    figures: {
      "max connections": 4,
      "current connections": 4,
      "current channels": 4,
      "current subscriptions": 9,
      "user-requested subscriptions": 6,
      "total connections": 4,
      "total announcements": 3,
      "total messages": 8,
      "total subscribes": 10,
      "total unsubscribes": 1,
      "total pings": 2,
      objects: 3,
    },
  },
  {
    title: "commands that change nothing",
    act: async () => {
      const [x, y] = [unique("x"), unique("y")];
      const a = await Client.connect(x);
      await sendAll([a], `subscribe ${x}\nsubscribe all\nunsubscribe ${y}\nannounce ${y} unheard`);
      await sendAll([a], `subscribe ${y}\nsubscribe ${y}\nunsubscribe ${y}\nunsubscribe ${y}`);
      a.send("subscribe debug\nannounce debug 1\nannounce x\nsubscribe\nnonsense");
      expect(await a.ping()).toHaveLength(5);
      return [a];
    },
    figures: {
      "current channels": 2,
      "current subscriptions": 2,
      "total announcements": 1,
      "total messages": 0,
      "total subscribes": 3,
      "total unsubscribes": 1,
      "total pings": 3,
    },
  },
  {
    title: "connections that have ended",
    act: async () => {
      const [x, y] = [unique("x"), unique("y")];
      const a = await Client.connect(x);
      const b = await Client.connect(x);
      const c = await Client.connect(y);
      await sendAll([b, c], `subscribe ${y}\nsubscribe ${x}`);
      await expectDelivery(c, x, a, b, c);
      await b.close();
      await c.close();
      return [a];
    },
    figures: {
      "current connections": 1,
      "current channels": 2,
      "current subscriptions": 2,
      "user-requested subscriptions": 1,
      "total connections": 3,
      "total announcements": 1,
      "total messages": 3,
      "total subscribes": 8,
      "total unsubscribes": 6,
      "total pings": 2,
      objects: 1,
    },
  },
];

test.each(plays)("everyone is told the same after $title", async ({ act, figures: expected }) => {
  const clients = await act();
  let pings = (expected["total pings"] ?? 0) + OWN_PINGS;
  for (const client of clients) {
    const told = await figures(client);
    expect(told).toMatchObject({ ...expected, "total pings": pings, "unreachable objects": 0 });
    pings += 2;
  }
  await evictAll();
  for (const client of clients.slice(0, 1)) {
    expect(await figures(client)).toMatchObject({ ...expected, "total pings": pings });
  }
});

test("the keys are the original's, in its order, and then our own", async () => {
  const client = await Client.connect();
  const info = await client.info();
  expect(Object.keys(info)).toEqual([
    "uptime",
    "client-limit",
    "limit rejected connections",
    "rlimits",
    "max connections",
    "current connections",
    "current channels",
    "current subscriptions",
    "user-requested subscriptions",
    "total connections",
    "total announcements",
    "total messages",
    "total subscribes",
    "total unsubscribes",
    "total pings",
    "objects",
    "unreachable objects",
  ]);
  expect(info.uptime).toMatch(/^0d 0h 0m \d+s$/);
});

test("an object that does not answer is said to be missing", async () => {
  const home = unique("home");
  const [asker] = await Promise.all([Client.connect(), Client.connect(home)]);
  failOnce(home, "figures", "before");
  expect(await figures(asker)).toMatchObject({
    "current connections": 1,
    objects: 1,
    "unreachable objects": 1,
  });
  expect(await figures(asker)).toMatchObject({
    "current connections": 2,
    objects: 2,
    "unreachable objects": 0,
  });
});

describe("the most connections at one time", () => {
  const open = (count: number, channel?: string) =>
    Promise.all(Array.from({ length: count }, () => Client.connect(channel)));
  const leave = (clients: Client[]) => Promise.all(clients.map((client) => client.close()));

  test("are those of all objects", async () => {
    const [asker] = await open(2);
    await open(3, unique("room"));
    await open(4, unique("room"));
    expect(asker && (await figures(asker))).toMatchObject({ "max connections": 9 });
  });

  test("stay the most when many have left", async () => {
    const rooms = [unique("room"), unique("room")];
    const [asker] = await open(1);
    const clients = (await Promise.all(rooms.map((room) => open(3, room)))).flat();
    expect(asker && (await figures(asker))).toMatchObject({ "max connections": 7 });
    await leave(clients);
    await evictAll();
    expect(asker && (await figures(asker))).toMatchObject({ "max connections": 7 });
    await open(3, rooms[0]);
    expect(asker && (await figures(asker))).toMatchObject({ "max connections": 7 });
  });

  test.each([{ where: "a channel", channel: "room" }, { where: "`all`" }])(
    "of one object are known even if nobody asked while they were there, at $where",
    async ({ channel }) => {
      await leave(await open(3, channel));
      await evictAll();
      const [asker] = await open(1);
      expect(asker && (await figures(asker))).toMatchObject({ "max connections": 3 });
    },
  );

  test("are not more than there were, when those of one object came after another's", async () => {
    const room = unique("room");
    for (const channel of [undefined, room, undefined, room]) {
      const clients = await open(3, channel);
      for (const client of clients) {
        expect(await figures(client)).toMatchObject({ "max connections": 3, "current connections": 3 });
      }
      await leave(clients);
    }
  });
});
