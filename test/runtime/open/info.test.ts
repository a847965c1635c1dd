/** `info` returns exact statistics of the whole service at every object, through evictions and crashes. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import { evictAll, failOnce, resetService, settleQuickly, unique } from "../support/service.ts";
import { figures } from "../support/stats.ts";

settleQuickly();

beforeEach(() => resetService());
afterEach(closeAll);

/** Pings that `Client.info` sends. */
const OWN_PINGS = 1;

interface Play {
  title: string;
  /** Acts, and returns the clients that are still connected. */
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

test.each(plays)(
  "every client gets the same reply after $title",
  { tags: ["info-exact"] },
  async ({ act, figures: expected }) => {
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
  },
);

test("the keys are the original's, in its order, followed by additional ones", async () => {
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

test("an object that doesn't answer is counted as unreachable", async () => {
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

describe("the maximum of connections", () => {
  const open = (count: number, channel?: string) =>
    Promise.all(Array.from({ length: count }, () => Client.connect(channel)));
  const leave = (clients: Client[]) => Promise.all(clients.map((client) => client.close()));

  test("includes all objects", async () => {
    const [asker] = await open(2);
    await open(3, unique("room"));
    await open(4, unique("room"));
    expect(asker && (await figures(asker))).toMatchObject({ "max connections": 9 });
  });

  test("doesn't decrease when clients leave", async () => {
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
    "includes connections that closed before any `info`, at $where",
    async ({ channel }) => {
      await leave(await open(3, channel));
      await evictAll();
      const [asker] = await open(1);
      expect(asker && (await figures(asker))).toMatchObject({ "max connections": 3 });
    },
  );

  test("doesn't add up connections that weren't simultaneous", async () => {
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
