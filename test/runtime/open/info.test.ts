/**
 * `info` tells figures of the whole service, exactly, whichever object is asked, and whatever the
 * objects that counted them have been through: each is counted by the object it happened in, and
 * handed over to the root of `all` when that object is no longer used.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { say, sendAll } from "../cast.ts";
import { Client, closeAll } from "../client.ts";
import {
  crash,
  crashBusy,
  evict,
  evictAll,
  failOnce,
  hold,
  keys,
  rows,
  settleQuickly,
  startAfresh,
  unique,
} from "../service.ts";

settleQuickly();

beforeEach(() => startAfresh());
afterEach(closeAll);

/** What `Client.info` pings before it asks. */
const OWN_PINGS = 1;

/** The figures that `info` gives, as numbers. */
async function figures(asker: Client): Promise<Record<string, number>> {
  const entries = Object.entries(await asker.info()).filter(([, value]) => /^\d+$/.test(value));
  return Object.fromEntries(entries.map(([key, value]) => [key, Number(value)]));
}

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
      await say(a, x, a, b, c, d);
      await say(d, "all", a, b, d);
      await say(c, z, c);
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
      await say(c, x, a, b, c);
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

describe("totals", () => {
  /** Has a home count some things and be left by all: two connections and an announcement a time. */
  async function useAndLeave(home: string): Promise<void> {
    const [a, b] = await Promise.all([Client.connect(home), Client.connect(home)]);
    await say(a, home, a, b);
    await Promise.all([a.close(), b.close()]);
  }

  /** What so many uses add up to, with an asker of its own in the root of `all`. */
  const totalsOf = (uses: number) => ({
    "total connections": 2 * uses + 1,
    "total announcements": uses,
    "total messages": 2 * uses,
    "total subscribes": 4 * uses + 1,
    "total unsubscribes": 4 * uses,
  });

  test("outlive the use of an object", async () => {
    const asker = await Client.connect();
    const homes = [unique("home"), unique("home"), unique("home")];
    await Promise.all(homes.map(useAndLeave));
    expect(await figures(asker)).toMatchObject({ ...totalsOf(3), "current connections": 1, objects: 1 });
    await evictAll();
    expect(await keys("all", "downstream:")).toEqual([]);
    expect(await figures(asker)).toMatchObject({ ...totalsOf(3), "current connections": 1, objects: 1 });
  });

  test("count once when an object is used again and again", async () => {
    const asker = await Client.connect();
    const home = unique("home");
    for (let uses = 1; uses <= 5; uses++) {
      await useAndLeave(home);
      expect(await figures(asker)).toMatchObject(totalsOf(uses));
    }
    const last = await Client.connect(home);
    expect(await figures(last)).toMatchObject({ "total connections": 12, "current connections": 2 });
    await last.close();
    await evict(home);
    expect(await figures(asker)).toMatchObject({ "total connections": 12, "current connections": 1 });
  });

  test.each([
    { call: "unlink", when: "before" },
    { call: "unlink", when: "after" },
    { call: "link", when: "before" },
    { call: "link", when: "after" },
  ] as const)("count once if a call to $call fails $when it is carried out", async ({ call, when }) => {
    const asker = await Client.connect();
    const home = unique("home");
    if (call === "link") await useAndLeave(home);
    failOnce("all", call, when);
    await useAndLeave(home);
    await evictAll();
    const uses = call === "link" ? 2 : 1;
    expect(await figures(asker)).toMatchObject(totalsOf(uses));
    // The object is used again while the end of its earlier link may still be in doubt.
    failOnce("all", call, when);
    await useAndLeave(home);
    await useAndLeave(home);
    await evictAll();
    expect(await figures(asker)).toMatchObject(totalsOf(uses + 2));
    expect(await rows(home)).toEqual([]);
  });

  test("count once if an object is used again before the end of its link is known", async () => {
    const asker = await Client.connect();
    const home = unique("home");
    const first = await Client.connect(home);
    await say(first, home, first);
    failOnce("all", "unlink", "before");
    await first.close();
    const second = await Client.connect(home);
    await say(second, home, second);
    // This waits for the repeated call.
    await evict(home);
    await second.close();
    await evictAll();
    const expected = { "total connections": 3, "total announcements": 2, "total messages": 2 };
    expect(await figures(asker)).toMatchObject(expected);
    expect(await rows(home)).toEqual([]);
  });

  test.each([
    { title: "while another one has yet to answer", slow: "other", when: "before" },
    { title: "while its own answer is under way", slow: "own", when: "after" },
  ] as const)("count once if an object is left $title", async ({ slow, when }) => {
    const asker = await Client.connect();
    const homes = { own: unique("own"), other: unique("other") };
    const [leaver, stayer] = await Promise.all([Client.connect(homes.own), Client.connect(homes.other)]);
    await say(leaver, homes.own, leaver);
    const answer = hold(homes[slow], "figures", when);
    const told = figures(asker);
    await answer.begun();
    await leaver.close();
    // Its object's link ends, and thereby its figures are handed over.
    await vi.waitFor(
      async () => expect(await keys("all", "downstream:")).toEqual([`downstream:${homes.other}`]),
      4_000,
    );
    answer.release();
    const expected = { "total connections": 3, "total announcements": 1 };
    expect(await told).toMatchObject(expected);
    expect(await figures(stayer)).toMatchObject(expected);
  });

  test("are those of connections too that ended before their object was linked", async () => {
    const asker = await Client.connect();
    const home = unique("home");
    const link = hold("all", "link");
    const hasty = await Client.open(home);
    await link.begun();
    await hasty.close();
    link.release();
    await evict(home);
    expect(await figures(asker)).toMatchObject({ "total connections": 2, "current connections": 1 });
    expect(await rows(home)).toEqual([]);
  });

  test("of an object survive a crash of the root of `all`", async () => {
    const home = unique("home");
    const [a, b] = await Promise.all([Client.connect(home), Client.connect(home)]);
    await say(a, home, a, b);
    await sendAll([b], "unsubscribe all");
    await evictAll();
    await crashBusy("all");
    const asker = await Client.connect();
    // Who hears `all` may have missed something, so it is told; the other keeps the object in use.
    expect(await a.closed).toMatchObject({ code: 1013 });
    await evictAll();
    const expected = { "total connections": 3, "total announcements": 1, "total messages": 2 };
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 2, objects: 2 });
    await b.close();
    await evictAll();
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    expect(await rows(home)).toEqual([]);
  });

  test("of an object that crashed are those it had written down", async () => {
    const home = unique("home");
    const asker = await Client.connect();
    const [a, b] = await Promise.all([Client.connect(home), Client.connect(home)]);
    await say(a, home, a, b);
    await evictAll();
    await crash(home);
    const expected = { "total connections": 3, "total announcements": 1, "total messages": 2 };
    // The first answer comes while the object finds out that its connections are gone.
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    await evictAll();
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    expect(await rows(home)).toEqual([]);
  });
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

describe("storage", () => {
  /** Looks into an object until it has come to rest, for which there is no event to wait for. */
  const expectEmpty = (name: string) =>
    vi.waitFor(async () => expect(await rows(name)).toEqual([]), { interval: 100, timeout: 4_000 });

  test("of an object that is no longer used is empty", async () => {
    const [room, home, third] = [unique("room"), unique("home"), unique("third")];
    const [local, far] = await Promise.all([Client.connect(room), Client.connect(home)]);
    await sendAll([far], `subscribe ${room}\nsubscribe ${third}`);
    await say(local, room, local, far);
    await say(local, third, far);
    await say(far, "all", local, far);
    for (const name of [room, home, third]) expect(await rows(name)).not.toEqual([]);
    await far.close();
    for (const name of [home, third]) await expectEmpty(name);
    await local.close();
    await expectEmpty(room);
    expect(await keys("all")).toEqual(["service"]);
  });

  test("of an object that was only ever announced on is empty", async () => {
    const third = unique("third");
    const client = await Client.connect();
    await sendAll([client], `announce ${third} 1`);
    await expectEmpty(third);
  });

  test("of an object whose connections were told to return is empty", async () => {
    const home = unique("home");
    const client = await Client.connect(home);
    await evictAll();
    await crashBusy("all");
    const asker = await Client.connect();
    await client.closed;
    await expectEmpty(home);
    expect(await figures(asker)).toMatchObject({ "total connections": 2, "current connections": 1 });
  });
});
