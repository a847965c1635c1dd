/**
 * Objects may crash at any moment, and then lose their memory and sockets, but not their storage. Clients of other
 * objects either continue without missing messages, or are told to reconnect. Ordinary traffic removes what the crash
 * left behind.
 */
import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { pass, stopClock } from "../support/clock.ts";
import { expectDelivery, expectNoMore, gather, sendAll } from "../support/connections.ts";
import {
  crashBusy as crashBusyNow,
  crash as crashNow,
  evict,
  evictAll,
  failOnce,
  hold,
  keys,
  object,
  rows,
  settleQuickly,
  unique,
} from "../support/service.ts";

settleQuickly();
stopClock();

const take = gather(18);

/**
 * Crashes an object, and passes two seconds: announcements take the same path as one in the last second, and may be
 * lost.
 */
async function crash(name: string): Promise<void> {
  await crashNow(name);
  pass(2);
}

async function crashBusy(name: string): Promise<void> {
  await crashBusyNow(name);
  pass(2);
}

/** How a client is closed that may have missed messages. */
const CLOSED_FOR_GAP = { code: 1013, reason: "unavailable: messages may be missing; connect again" };

describe("an idle root", () => {
  test("loses its own sockets, and other clients miss no messages", { tags: ["crash-own-connections"] }, async () => {
    const { room, home, local, remote, idle, lobby } = take();
    await sendAll([idle], "subscribe all");
    await expectDelivery(local, room, local, remote);
    await evict(room);
    await crash(room);
    expect(await local.closed).toMatchObject({ code: 1006 });

    await expectDelivery(lobby, room, remote);
    const again = await Client.connect(room);
    await expectDelivery(again, room, again, remote);
    await expectDelivery(remote, room, again, remote);
    await expectDelivery(remote, "all", idle, again);
    expect(await keys(room, "downstream:")).toEqual([`downstream:${home}`]);
    await expectNoMore(again, remote, idle, lobby);
  });

  test("may crash repeatedly", { tags: ["crash-without-retention"] }, async () => {
    const { room, remote, lobby } = take();
    for (let round = 0; round < 5; round++) {
      await expectDelivery(lobby, room, remote);
      await evict(room);
      await crash(room);
    }
    await expectDelivery(lobby, room, remote);
    await expectNoMore(remote, lobby);
  });
});

describe("a root that crashes during deliveries", () => {
  const wakes: [string, (room: string, lobby: Client) => Promise<unknown>][] = [
    ["a connection to it", (room) => Client.connect(room)],
    ["an announcement from another object", (room, lobby) => sendAll([lobby], `announce ${room} 1`)],
    ["a subscription from another object", (room, lobby) => sendAll([lobby], `subscribe ${room}`)],
  ];
  test.each(wakes)("closes its subscribers at other objects, once woken by %s", async (_, wake) => {
    const { room, home, local, remote, idle, lobby } = take();
    await sendAll([idle], "subscribe all");
    await crashBusy(room);
    expect(await local.closed).toMatchObject({ code: 1006 });
    await wake(room, lobby);
    expect(await remote.closed).toEqual(CLOSED_FOR_GAP);
    expect(await remote.untilClosed()).toEqual([]);

    // Other clients of that object have missed no messages, and its link works again.
    await expectDelivery(lobby, "all", idle);
    const again = await Client.connect(home);
    await sendAll([again, idle], `subscribe ${room}`);
    await expectDelivery(idle, room, again, idle);
    expect(await rows(room, `downstream:${home}`)).toEqual([
      [`downstream:${home}`, expect.objectContaining({ lostAt: undefined })],
    ]);
    await expectNoMore(idle, again);
  });

  test("wakes by itself to close them", { tags: ["close-lost"] }, async () => {
    const { room, home, local, remote, idle } = take();
    const delivery = hold(home, "deliver");
    local.send(`announce ${room} 1\nannounce ${room} 2`);
    expect(await local.lines(2)).toEqual([`${room}!1`, `${room}!2`]);
    await delivery.begun();
    local.send(`announce ${room} 3`);
    expect(await local.line()).toBe(`${room}!3`);
    await crash(room);
    delivery.release();
    expect(await runDurableObjectAlarm(object(room))).toBe(true);

    expect(await remote.closed).toEqual(CLOSED_FOR_GAP);
    const heard = await remote.untilClosed();
    expect([[], [`${room}!1`, `${room}!2`]]).toContainEqual(heard);
    await expectNoMore(idle);
  });

  test("closes them even if their object is unreachable at first", async () => {
    const { room, home, remote, lobby } = take();
    await crashBusy(room);
    failOnce(home, "deliver", "before");
    await sendAll([lobby], `announce ${room} 1`);
    expect(await remote.closed).toEqual(CLOSED_FOR_GAP);
  });

  test("closes them only once", async () => {
    const { room, home, remote, lobby } = take();
    await crashBusy(room);
    failOnce(home, "deliver", "after");
    await sendAll([lobby], `announce ${room} 1`);
    expect(await remote.closed).toEqual(CLOSED_FOR_GAP);
    const again = await Client.connect(home);
    await sendAll([again], `subscribe ${room}`);
    await expectDelivery(lobby, room, again);
    await expectNoMore(again);
  });
});

describe("a home", () => {
  test("leaves links behind, which the next messages remove", async () => {
    const { room, home, local, remote, idle, lobby } = take();
    await sendAll([local], "subscribe all");
    await crash(home);
    for (const client of [remote, idle]) expect(await client.closed).toMatchObject({ code: 1006 });
    expect(await keys(room, "downstream:")).toEqual([`downstream:${home}`]);
    await expectDelivery(local, room, local);
    await expectDelivery(lobby, "all", local);
    await evictAll();
    expect(await keys(room, "downstream:")).toEqual([]);
    expect(await keys("all")).not.toContain(`downstream:${home}`);
    expect(await rows(home)).toEqual([]);
    await expectNoMore(local, lobby);
  });

  test("removes its old links when it is used again", async () => {
    const { room, home, local, lobby } = take();
    await crash(home);
    const again = await Client.connect(home);
    await evictAll();
    expect(await keys(room, "downstream:")).toEqual([]);
    expect(await keys(home, "upstream:")).toEqual(["upstream:all"]);
    await sendAll([again], `subscribe ${room}`);
    await expectDelivery(lobby, room, local, again);
    await expectNoMore(local, again);
  });

  test("can link again before the roots have noticed", async () => {
    const { room, home, local, lobby } = take();
    for (let round = 0; round < 5; round++) {
      await crash(home);
      const again = await Client.connect(home);
      const under = ["a", "b", "c"].map((letter) => `${room}!${round}${letter}`);
      lobby.send(`announce ${room} ${round}a`);
      again.send(`subscribe ${room}`);
      lobby.send(`announce ${room} ${round}b\nannounce ${room} ${round}c`);
      const heard = await again.ping();
      expect(await local.lines(3)).toEqual(under);
      local.send(`announce ${room} ${round} end`);
      heard.push(...(await again.until(`${room}!${round} end`)));
      // The subscription may start at any message, but has no gap.
      expect(heard).toEqual(under.slice(under.length - heard.length));
      expect(await local.line()).toBe(`${room}!${round} end`);
    }
    await expectNoMore(local);
  });

  test("repeats no messages when it crashes with announcements in flight", async () => {
    const { room, home, local, remote } = take();
    const each = 10;
    for (let i = 0; i < each; i++) remote.send(`announce ${room} ${i}`);
    await crash(home);
    await remote.closed;
    await evictAll();
    const heard = await local.ping();
    // Some may be lost with their publisher's object, but the others are delivered in order.
    expect(heard).toEqual(Array.from({ length: heard.length }, (_, i) => `${room}!${i}`));
  });
});

test("a subscription to a channel whose object crashes succeeds or is refused", async () => {
  const { local, remote } = take();
  for (let round = 0; round < 10; round++) {
    const third = unique("third");
    remote.send(`subscribe ${third}`);
    const [replies] = await Promise.all([remote.ping(), crash(third)]);
    if (replies.length > 0) {
      expect(replies).toEqual([expect.stringMatching(/^debug!error unavailable subscribe /)]);
      await sendAll([remote], `subscribe ${third}`);
    }
    await expectDelivery(local, third, remote);
    await expectDelivery(remote, third, remote);
  }
  await expectNoMore(local, remote);
});

test("a message that a crashing object accepted is delivered, or its subscribers are closed", async () => {
  const { home, local } = take();
  for (let round = 0; round < 10; round++) {
    const third = unique("third");
    const listener = await Client.connect(home);
    await sendAll([listener], `subscribe ${third}`);
    local.send(`announce ${third} message`);
    const [replies] = await Promise.all([local.ping(), crash(third)]);
    await sendAll([local], `announce ${third} end`);
    const heard = await listener.until(`${third}!end`).catch(() => undefined);
    if (!heard) expect(await listener.closed).toEqual(CLOSED_FOR_GAP);
    else if (replies.length === 0) expect(heard).toEqual([`${third}!message`]);
    else expect([[], [`${third}!message`]]).toContainEqual(heard);
    await listener.close();
  }
  await expectNoMore(local);
});

// After the tests that need clients in the lobby, because it is empty then.
describe("the root of 'all'", () => {
  test("loses its own sockets, and other clients miss no messages if it was idle", async () => {
    const { room, local, remote, idle, lobby } = take();
    await sendAll([local, remote, idle], "subscribe all");
    await expectDelivery(remote, "all", local, remote, idle);
    await evict("all");
    await crash("all");
    expect(await lobby.closed).toMatchObject({ code: 1006 });
    const again = await Client.connect();
    await expectDelivery(again, "all", again, local, remote, idle);
    await expectDelivery(remote, "all", again, local, remote, idle);
    await expectDelivery(remote, room, local, remote);
    await expectNoMore(again, local, remote, idle);
  });

  test("closes its subscribers, and no other clients, if it crashes during deliveries", async () => {
    const { room, local, remote, idle } = take();
    await sendAll([idle], "subscribe all");
    await crashBusy("all");
    const again = await Client.connect();
    expect(await idle.closed).toEqual(CLOSED_FOR_GAP);
    await expectDelivery(local, room, local, remote);
    await expectDelivery(remote, room, local, remote);

    // Their object links to `all` again by itself, so they can subscribe again.
    await evictAll();
    await sendAll([remote, local], "subscribe all");
    await expectDelivery(again, "all", again, local, remote);
    await expectNoMore(again, local, remote);
  });

  test("isn't needed for other channels", async () => {
    const { room, remote, local } = take();
    const link = hold("all", "link");
    const home = unique("home");
    // The client is greeted while its object still requests its link to `all`.
    const cut = await Client.connect(home);
    await sendAll([cut], `subscribe ${room}`);
    await expectDelivery(cut, room, cut, local, remote);
    await expectDelivery(local, room, cut, local, remote);
    link.release();
    await sendAll([cut], "subscribe all");
    await expectDelivery(local, "all", cut);
    await expectNoMore(cut, local, remote);
  });
});

test("after all objects have crashed, everything works again, without leftovers", {
  tags: ["stale-removed", "calm-after-crash"],
}, async () => {
  const before = take();
  await abortAllDurableObjects();
  pass(2);
  for (const client of [before.local, before.remote, before.idle, before.lobby]) {
    expect(await client.closed).toMatchObject({ code: 1006 });
  }

  const { room, home } = before;
  const [local, remote, lobby] = await Promise.all([Client.connect(room), Client.connect(home), Client.connect()]);
  await sendAll([remote], `subscribe ${room}`);
  await expectDelivery(local, room, local, remote);
  await expectDelivery(remote, room, local, remote);
  await expectDelivery(lobby, "all", local, remote, lobby);
  await evictAll();

  expect((await keys("all", "downstream:")).sort()).toEqual([`downstream:${home}`, `downstream:${room}`].sort());
  expect(await lobby.info()).toMatchObject({
    "current connections": "3",
    "current channels": "3",
    "current subscriptions": "6",
    "user-requested subscriptions": "3",
    objects: "3",
    "unreachable objects": "0",
  });
  await expectNoMore(local, remote, lobby);
});
