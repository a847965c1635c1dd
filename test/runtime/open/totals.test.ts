/** Objects count what they do, and report their counters to the root of `all` when their last connection closes. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, closeAll } from "../support/client.ts";
import { pass, stopClock } from "../support/clock.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import {
  crash,
  crashBusy,
  evict,
  evictAll,
  failOnce,
  hold,
  keys,
  resetService,
  rows,
  settleQuickly,
  unique,
} from "../support/service.ts";
import { figures } from "../support/stats.ts";

settleQuickly();
stopClock();

beforeEach(() => resetService());
afterEach(closeAll);

describe("totals", () => {
  /** Uses an object repeatedly: each time with two connections, which close, and an announcement. */
  async function useAndLeave(home: string): Promise<void> {
    const [a, b] = await Promise.all([Client.connect(home), Client.connect(home)]);
    await expectDelivery(a, home, a, b);
    await Promise.all([a.close(), b.close()]);
  }

  /** Returns the expected totals of several uses, with one more connection at the root of `all`. */
  const totalsOf = (uses: number) => ({
    "total connections": 2 * uses + 1,
    "total announcements": uses,
    "total messages": 2 * uses,
    "total subscribes": 4 * uses + 1,
    "total unsubscribes": 4 * uses,
  });

  test("survive when an object is no longer used", async () => {
    const asker = await Client.connect();
    const homes = [unique("home"), unique("home"), unique("home")];
    await Promise.all(homes.map(useAndLeave));
    expect(await figures(asker)).toMatchObject({ ...totalsOf(3), "current connections": 1, objects: 1 });
    await evictAll();
    expect(await keys("all", "downstream:")).toEqual([]);
    expect(await figures(asker)).toMatchObject({ ...totalsOf(3), "current connections": 1, objects: 1 });
  });

  test("count once when an object is used repeatedly", async () => {
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

  test.each(["before", "after"] as const)("never count twice if the report fails %s it is executed", async (when) => {
    const asker = await Client.connect();
    const home = unique("home");
    failOnce("all", "unlink", when);
    await useAndLeave(home);
    await evictAll();
    // The connection that asks, and those of the report if it was executed.
    const expected = when === "after" ? totalsOf(1) : { "total connections": 1, "total messages": 0 };
    expect(await figures(asker)).toMatchObject(expected);
    expect(await rows(home)).toEqual([]);
  });

  test("count once if an object is used again before the end of its link is known", async () => {
    const asker = await Client.connect();
    const home = unique("home");
    const first = await Client.connect(home);
    await expectDelivery(first, home, first);
    const unlink = hold("all", "unlink");
    await first.close();
    await unlink.begun();
    const second = await Client.connect(home);
    await expectDelivery(second, home, second);
    unlink.release();
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
    await expectDelivery(leaver, homes.own, leaver);
    const answer = hold(homes[slow], "figures", when);
    const told = figures(asker);
    await answer.begun();
    await leaver.close();
    // Its object unlinks and reports its counters.
    await expect.poll(() => keys("all", "downstream:")).toEqual([`downstream:${homes.other}`]);
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
    await expectDelivery(a, home, a, b);
    await sendAll([b], "unsubscribe all");
    await evictAll();
    await crashBusy("all");
    const asker = await Client.connect();
    // The subscriber of `all` may have missed messages and is closed; the other connection keeps the object in use.
    expect(await a.closed).toMatchObject({ code: 1013 });
    await evictAll();
    const expected = { "total connections": 3, "total announcements": 1, "total messages": 2 };
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 2, objects: 2 });
    await b.close();
    await evictAll();
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    expect(await rows(home)).toEqual([]);
  });

  test("of an object that crashed are those it had stored", async () => {
    const home = unique("home");
    const asker = await Client.connect();
    const [a, b] = await Promise.all([Client.connect(home), Client.connect(home)]);
    await expectDelivery(a, home, a, b);
    pass(60);
    await expectDelivery(b, home, a, b);
    await evictAll();
    // Counts of the last minute were in the sockets' attachments, and are lost with them.
    await expectDelivery(a, home, a, b);
    await evictAll();
    await crash(home);
    const expected = { "total connections": 3, "total announcements": 2, "total messages": 4 };
    // The first reply is sent while the object notices that its connections are gone.
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    await evictAll();
    expect(await figures(asker)).toMatchObject({ ...expected, "current connections": 1, objects: 1 });
    expect(await rows(home)).toEqual([]);
  });
});
