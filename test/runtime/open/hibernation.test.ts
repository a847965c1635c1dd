/**
 * The runtime may evict an object whenever it is idle, and its sockets hibernate. Subscribers still receive each
 * message once and in order, and other clients receive none.
 *
 * Messages are numbered, and received lines are compared one by one, so missing, additional and reordered lines show. A
 * `ping` after evicting all objects shows that nothing more was in flight, because evicting waits until an object is
 * idle.
 */
import { describe, expect, test } from "vitest";
import { Client, isTime } from "../support/client.ts";
import { type Connections, expectDelivery, expectNoMore, gather, sendAll } from "../support/connections.ts";
import { evict, evictAll, hold, keys, rows, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const kinds = ["home", "root", "all", "everything"] as const;
type Kind = (typeof kinds)[number];

function evictKind(kind: Kind, { room, home }: Connections): Promise<void> {
  return kind === "everything" ? evictAll() : evict({ home, root: room, all: "all" }[kind]);
}

/** The objects that are evicted before each step, in turn. */
const orders: Kind[][] = [
  ["home"],
  ["root"],
  ["all"],
  ["everything"],
  ["home", "root"],
  ["root", "home"],
  ["home", "root", "all"],
  ["everything", "home"],
];

const take = gather(orders.length + 3 * kinds.length + 7);

describe("one step at a time", () => {
  test.each(orders.map((order) => ({ order })))("with evictions of $order in turn", async ({ order }) => {
    const connections = take();
    let evictions = 0;
    const evictNext = () => evictKind(order[evictions++ % order.length] ?? "everything", connections);
    const { room, home, local, remote, idle, lobby } = connections;
    const third = unique("third");
    const everyone = [local, remote, idle, lobby];
    const newcomers: Client[] = [];

    const steps = [
      () => sendAll(everyone, "subscribe all"),
      () => expectDelivery(local, room, local, remote),
      () => expectDelivery(remote, room, local, remote),
      () => expectDelivery(lobby, room, local, remote),
      () => expectDelivery(lobby, "all", ...everyone),
      () => expectDelivery(idle, "all", ...everyone),
      () => sendAll([remote], `unsubscribe ${room}`),
      () => expectDelivery(local, room, local),
      // This is the next line that `remote` receives, so the one before wasn't delivered to it.
      () => expectDelivery(local, "all", ...everyone),
      () => sendAll([remote, idle], `subscribe ${room}\nsubscribe ${third}`),
      () => expectDelivery(idle, room, local, remote, idle),
      () => expectDelivery(lobby, third, remote, idle),
      async () => {
        const newcomer = await Client.connect(room);
        newcomers.push(newcomer);
        await expectDelivery(newcomer, room, local, remote, idle, newcomer);
      },
      async () => {
        await remote.close();
        await expectDelivery(local, room, local, idle, ...newcomers);
      },
      () => expectDelivery(lobby, third, idle),
    ];
    for (const step of steps) {
      await evictNext();
      await step();
    }
    await expectNoMore(local, idle, lobby, ...newcomers);

    expect(await keys(room, "downstream:")).toEqual([`downstream:${home}`]);
    await evictNext();
    await idle.close();
    await evictAll();
    expect(await keys(room, "downstream:")).toEqual([]);
    expect(await keys("all")).not.toContain(`downstream:${home}`);
    expect(await rows(home)).toEqual([]);
    for (const client of [local, lobby, ...newcomers]) await client.close();
  });
});

describe("with work in flight", () => {
  test.each(kinds)("an eviction of %s directly after announcements from two objects", async (kind) => {
    const connections = take();
    const { room, local, remote } = connections;
    const rounds = 4;
    const each = 5;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < each; i++) {
        local.send(`announce ${room} local ${round * each + i}`);
        remote.send(`announce ${room} remote ${round * each + i}`);
      }
      await evictKind(kind, connections);
    }
    const heard = await local.lines(2 * rounds * each);
    for (const who of ["local", "remote"]) {
      const own = heard.filter((line) => line.startsWith(`${room}!${who} `));
      expect(own).toEqual(Array.from({ length: rounds * each }, (_, i) => `${room}!${who} ${i}`));
    }
    expect(await remote.lines(heard.length)).toEqual(heard);
    await expectNoMore(local, remote);
  });

  test.each(kinds)("an eviction of %s directly after various commands", async (kind) => {
    const connections = take();
    const { room, local, remote } = connections;
    const third = unique("third");
    remote.send(`subscribe ${third}\nannounce ${third} 1\nannounce ${room} 1\nunsubscribe ${room}`);
    const evicted = evictKind(kind, connections);
    remote.send(`announce ${room} 2\nannounce ${third} 2\nsubscribe ${room}\nannounce ${room} 3\nping`);
    await evicted;
    const lines = await remote.lines(5);
    expect(lines.filter(isTime)).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith(room))).toEqual([`${room}!1`, `${room}!3`]);
    expect(lines.filter((line) => line.startsWith(third))).toEqual([`${third}!1`, `${third}!2`]);
    expect(await local.lines(3)).toEqual([`${room}!1`, `${room}!2`, `${room}!3`]);
    await expectNoMore(local, remote);
  });

  test("evicting an object waits for its commands that call other objects", async () => {
    const connections = take();
    const { home, room, local, remote } = connections;
    const third = unique("third");
    const link = hold(third, "link");
    remote.send(`subscribe ${third}\nannounce ${third} 1\nannounce ${room} 1`);
    await link.begun();
    const evicted = evict(home);
    remote.send(`announce ${third} 2\nannounce ${room} 2\nping`);
    link.release();
    await evicted;
    const lines = await remote.lines(5);
    expect(lines.filter((line) => line.startsWith(third))).toEqual([`${third}!1`, `${third}!2`]);
    expect(lines.filter((line) => line.startsWith(room))).toEqual([`${room}!1`, `${room}!2`]);
    expect(await local.lines(2)).toEqual([`${room}!1`, `${room}!2`]);
    await expectNoMore(local, remote);
  });

  test("evicting a root waits for a delivery in flight", async () => {
    const { home, room, local, remote } = take();
    const delivery = hold(home, "deliver");
    local.send(`announce ${room} 1`);
    await delivery.begun();
    const evicted = evict(room);
    local.send(`announce ${room} 2\nannounce ${room} 3`);
    expect(await local.lines(3)).toEqual([`${room}!1`, `${room}!2`, `${room}!3`]);
    delivery.release();
    await evicted;
    expect(await remote.lines(3)).toEqual([`${room}!1`, `${room}!2`, `${room}!3`]);
    await expectNoMore(local, remote);
  });
});

describe("the reply to a ping", () => {
  test.each(kinds)("follows the connection's own message after an eviction of %s", async (kind) => {
    const connections = take();
    const { room, local, remote } = connections;
    for (let n = 1; n <= 3; n++) {
      await evictKind(kind, connections);
      remote.send(`announce ${room} ${n}`);
      expect(await remote.ping()).toEqual([`${room}!${n}`]);
      expect(await local.line()).toBe(`${room}!${n}`);
    }
    await expectNoMore(local, remote);
  });
});

test("an evicted channel wakes for an object that it doesn't know", async () => {
  const { room, local, remote } = take();
  const stranger = take().idle;
  for (let n = 1; n <= 3; n++) {
    await evictAll();
    stranger.send(`announce ${room} ${n}\nannounce ${room} ${n} again`);
    expect(await stranger.ping()).toEqual([]);
    for (const client of [local, remote]) {
      expect(await client.lines(2)).toEqual([`${room}!${n}`, `${room}!${n} again`]);
    }
  }
  await expectNoMore(local, remote, stranger);
});

test("an evicted object without subscribers ends its link at the next message", async () => {
  const { room, home, local, remote, idle } = take();
  await evictAll();
  await sendAll([remote], `unsubscribe ${room}`);
  await evictAll();
  expect(await keys(room, "downstream:")).toEqual([]);
  expect(await keys(home, "upstream:")).toEqual(["upstream:all"]);
  await expectDelivery(local, room, local);
  await expectNoMore(local, remote, idle);
});

test("an object without sockets has stored its state when it is evicted", async () => {
  const { local, remote } = take();
  const third = unique("third");
  await sendAll([remote], `subscribe ${third}`);
  for (let round = 0; round < 10; round++) {
    await expectDelivery(local, third, remote);
    await evict(third);
    expect(await rows(third, "order")).toEqual([["order", expect.objectContaining({ busy: false })]]);
  }
});

test("an evicted object answers a close frame, with or without a code", async () => {
  const { room, local, remote } = take();
  await evictAll();
  expect(await remote.close(4321, "tired")).toEqual({ code: 4321, reason: "tired" });
  // A browser's `close()` sends no code, and waits a long time for the answer.
  const { code } = await local.closeWithoutCode();
  expect([1000, 1005]).toContain(code);
  await evictAll();
  expect(await keys("all")).not.toContain(`downstream:${room}`);
});
