/** How an object requests a link, which deliveries it accepts, and how the link ends. */
import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type { CounterReport, Delivery, LinkAnswer, LinkRequest, UnlinkRequest } from "../../../src/runtime/calls.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { Unreachable, Upstream } from "../../../src/tree/upstream.ts";
import { settled } from "../settled.ts";
import { fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { receiverOf, scheduleOf } from "./linked-channel.ts";

type Answer = LinkAnswer | "fails";

/** An object with subscribers of `news`; by default the root of `home`. */
function objectOf(answers: Answer[], name = "home", rows = new Map<string, unknown>()) {
  const asked: [string, LinkRequest][] = [];
  const unlinked: [string, UnlinkRequest][] = [];
  const received: string[] = [];
  const state: { isSubscribed: boolean; counters: CounterReport | undefined; failures: number } = {
    isSubscribed: true,
    counters: undefined,
    failures: 0,
  };
  const runtime = fakeRuntime(name, rows, {
    link: async (object, request) => {
      asked.push([object, request]);
      const answer = answers.shift() ?? "fails";
      if (answer === "fails") throw new Error("lost");
      return answer;
    },
    unlink: async (object, request) => {
      if (state.failures-- > 0) throw new Error("lost");
      unlinked.push([object, request]);
      return undefined;
    },
  });
  const receiver = receiverOf({
    needs: () => state.isSubscribed,
    receive: (_, lines, count, after) => void received.push(`${after}+${count} ${lines.trim()}`),
    lose: () => void received.push("lost"),
    takeCounters: () => state.counters,
  });
  const log = new Log(name === "home" ? 0 : undefined);
  const upstream = new Upstream({ runtime, connections: noKeeper, schedule: scheduleOf() }, log, receiver);
  return { upstream, log, asked, unlinked, received, state, rows };
}

/** The same, with a link to `news`. */
async function joined(...given: Parameters<typeof objectOf>) {
  const object = objectOf(...given);
  await object.upstream.join("news");
  return object;
}

const counters: CounterReport = { totals: noTotals(), peak: 1 };

let deliveries = 0;

function deliveryOf(changes: Partial<Delivery> = {}): Delivery {
  deliveries += 1;
  const delivery = { channel: "news", from: "news", epoch: 100, after: 40, count: 1, lines: "a\n" };
  return { ...delivery, number: deliveries, again: false, lost: false, where: false, ...changes };
}

test("a link that the parent may have made is ended, and the next request has a newer epoch", async () => {
  const { upstream, asked, received, rows } = objectOf([...failures(5), { after: 40 }]);
  await expect(upstream.join("news")).rejects.toThrow(Unreachable);
  expect(rows.get("upstream:news")).toEqual({ parent: "news", epoch: 100, left: 100 });
  expect(upstream.isLinked("news")).toBe(false);
  expect(received).toEqual([]);
  received.length = 0;
  await upstream.join("news");
  expect(rows.get("upstream:news")).toEqual({ parent: "news", epoch: 101 });
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked.map(([, { epoch }]) => epoch)).toEqual([100, 100, 100, 100, 100, 101]);
  expect(received).toEqual([]);
});

test("a restored link stays, even if it can't be confirmed", async () => {
  const row = { parent: "news", epoch: 7 };
  const { upstream, received, rows } = objectOf(failures(5), "home", new Map([["upstream:news", row]]));
  await expect(upstream.join("news")).rejects.toThrow(Unreachable);
  expect({ rows: [...rows.values()], linked: upstream.isLinked("news"), received }).toEqual({
    rows: [row],
    linked: false,
    received: [],
  });
  expect(upstream.deliver(deliveryOf({ epoch: 7 }))).toEqual({ gone: false });
  expect(received).toEqual(["40+1 a"]);
});

test("concurrent requests for a link share one call, and a confirmed link needs none", async () => {
  const { upstream, asked } = objectOf([{ after: 40 }]);
  await Promise.all([upstream.join("news"), upstream.join("news")]);
  await upstream.join("news");
  expect(asked).toHaveLength(1);
});

test("a request with an outdated epoch is repeated with a newer one, at the child that the root names", async () => {
  const { upstream, asked, rows } = await joined([{ newer: 500 }, { instead: "news!1", vouched: 9 }, { after: 40 }]);
  expect(asked).toMatchObject([
    ["news", { epoch: 100, vouched: undefined }],
    ["news", { epoch: 501, vouched: undefined }],
    ["news!1", { epoch: 501, vouched: 9 }],
  ]);
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 501 });
  // Only the object that was asked last may deliver.
  expect(upstream.deliver(deliveryOf({ epoch: 501 }))).toMatchObject({ gone: true });
  expect(upstream.deliver(deliveryOf({ epoch: 501, from: "news!1" }))).toEqual({ gone: false });
});

test("a child requests the link from its parent, and learns its position", async () => {
  const { upstream, asked, log } = await joined([{ after: 40 }], "news!1!2");
  expect(asked).toMatchObject([["news!1", { from: "news!1!2" }]]);
  expect(log.position).toBe(40);
  upstream.leave("news");
  await settled();
  expect(log.position).toBeUndefined();
});

test("waiting for a position ends when its message has been received, or when the link ends", async () => {
  const { upstream, received } = objectOf([{ after: 40 }]);
  expect(upstream.reached("news", 41)).toBeUndefined();
  await upstream.join("news");
  expect(upstream.reached("news", 40)).toBeUndefined();
  const wait = (position: number) => upstream.reached("news", position)?.then(() => received.push(`${position}`));
  for (const position of [42, 41, 43]) void wait(position);
  upstream.deliver(deliveryOf());
  await settled();
  upstream.deliver(deliveryOf({ after: 41, lines: "b\n" }));
  await settled();
  expect(upstream.reached("news", 42)).toBeUndefined();
  upstream.leave("news");
  await settled();
  expect(received.filter((line) => !/begin|end/.test(line))).toEqual(["40+1 a", "41", "41+1 b", "42", "43"]);
});

test("deliveries before the answer to a request are accepted, even without subscribers", async () => {
  const { upstream, received, state } = objectOf([{ after: 40 }]);
  state.isSubscribed = false;
  const joining = upstream.join("news");
  expect(upstream.deliver(deliveryOf())).toEqual({ gone: false });
  await joining;
  expect(upstream.deliver(deliveryOf({ again: true, count: 2, lines: "a\nb\n" }))).toMatchObject({
    gone: true,
  });
  expect(received).toEqual(["40+1 a"]);
});

test("a delivery over an earlier link doesn't affect the current one", async () => {
  const { upstream, log, received } = await joined([{ after: 40 }], "news!1");
  expect(upstream.deliver(deliveryOf({ epoch: 99, after: 10 }))).toMatchObject({ gone: true });
  expect({ linked: upstream.isLinked("news"), position: log.position }).toEqual({
    linked: true,
    position: 40,
  });
  expect(received).toEqual([]);
});

test("a link that was left can't be lost", async () => {
  const rows = new Map([["upstream:news", { parent: "news", epoch: 7 }]]);
  const { upstream, received } = objectOf([{ newer: 7 }], "home", rows);
  const joining = upstream.join("news");
  upstream.leave("news");
  await joining;
  await settled();
  expect(received).toEqual([]);
});

test("epochs rise, even if the clock has gone back", async () => {
  const rows = new Map([["upstream:news", { parent: "news", epoch: 900 }]]);
  const { upstream, asked } = objectOf([{ after: 40 }], "home", rows);
  upstream.leave("news");
  await upstream.join("news");
  expect(asked).toMatchObject([["news", { epoch: 901 }]]);
});

test("epochs rise above those of links that a crash left behind, too", async () => {
  const rows = new Map([["upstream:news", { parent: "news", epoch: 900 }]]);
  const { upstream, asked, state } = objectOf([{ after: 40 }], "home", rows);
  state.isSubscribed = false;
  upstream.start();
  await settled();
  state.isSubscribed = true;
  await upstream.join("news");
  expect(asked).toMatchObject([["news", { epoch: 901 }]]);
});

test("without subscribers, a delivery ends the link, and no loss is reported", async () => {
  const { upstream, received, state, rows } = await joined([{ after: 40 }]);
  state.isSubscribed = false;
  expect(upstream.deliver(deliveryOf())).toMatchObject({ gone: true });
  expect({ rows: rows.size, linked: upstream.isLinked("news") }).toEqual({ rows: 0, linked: false });
  expect(received).not.toContain("lost");
});

test("an object reports its counters when it unlinks", async () => {
  const { upstream, unlinked, state } = await joined([{ after: 40 }]);
  state.counters = counters;
  upstream.leave("news");
  await settled();
  expect(unlinked).toEqual([["news", { from: "home", epoch: 100, counters }]]);
});

test("an object reports its counters only with the first attempt to unlink", async () => {
  const { upstream, unlinked, state } = await joined([{ after: 40 }]);
  Object.assign(state, { counters, failures: 1 });
  upstream.leave("news");
  await settled();
  expect(unlinked).toEqual([["news", { from: "home", epoch: 100, counters: undefined }]]);
});

test("a link isn't ended before its request was answered", async () => {
  const { upstream, unlinked } = objectOf([{ after: 40 }]);
  const joining = upstream.join("news");
  upstream.leave("news");
  expect(unlinked).toEqual([]);
  await joining;
  await settled();
  expect(unlinked).toMatchObject([["news", { epoch: 100 }]]);
  expect(upstream.isLinked("news")).toBe(false);
});

test("an object that rejoins a channel through a child that lags behind waits until the child catches up", async () => {
  const behind = [{ instead: "news!1" }, { after: 40 }];
  const { upstream, asked, received, state } = await joined([{ after: 40 }, ...behind, ...behind, { after: 41 }]);
  upstream.deliver(deliveryOf());
  upstream.leave("news");
  // The object leaves again in the meantime, and is as far behind as before.
  void upstream.join("news");
  await settled();
  upstream.leave("news");
  const joining = upstream.join("news");
  await settled();
  expect({ linked: upstream.isLinked("news"), received: received.includes("40+1 a") }).toEqual({
    linked: false,
    received: true,
  });
  state.isSubscribed = false;
  received.length = 0;
  const epoch = asked.at(-1)?.[1].epoch ?? 0;
  expect(upstream.deliver(deliveryOf({ from: "news!1", epoch }))).toEqual({ gone: false });
  await joining;
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked.at(-1)).toMatchObject(["news!1", { still: { last: 41, restarted: false } }]);
});

test("links that a crash left behind are ended, unless they have subscribers", async () => {
  const rows = new Map([["upstream:news", { parent: "news!3", epoch: 7 }]]);
  const { upstream, unlinked, state } = objectOf([], "home", rows);
  upstream.start();
  expect(rows.size).toBe(1);
  state.isSubscribed = false;
  upstream.start();
  await settled();
  expect(rows.size).toBe(0);
  expect(unlinked).toMatchObject([["news!3", { from: "home", epoch: 7 }]]);
});

function failures(count: number): Answer[] {
  return Array.from({ length: count }, () => "fails");
}
