/** How an object comes by a link, what it takes from it, and how the link ends. */
import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type {
  CounterReport,
  Delivery,
  LinkAnswer,
  LinkRequest,
  UnlinkRequest,
} from "../../../src/runtime/calls.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { Unreachable, Upstream } from "../../../src/tree/upstream.ts";
import { noKeeper, stillWorld } from "./fake-runtime.ts";
import { channelWith, scheduleOf } from "./linked-channel.ts";

type Answer = LinkAnswer | "fails";

/** An object that hears `news`, by default the root of `home`. */
function objectOf(answers: Answer[], name = "home", rows = new Map<string, unknown>()) {
  const asked: [string, LinkRequest][] = [];
  const unlinked: [string, UnlinkRequest][] = [];
  const told: string[] = [];
  const state: { listens: boolean; counters: CounterReport | undefined; failures: number } = {
    listens: true,
    counters: undefined,
    failures: 0,
  };
  const runtime = stillWorld(name, rows, {
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
  const listeners = {
    needs: () => state.listens,
    receive: (_: string, lines: string, count: number, after: number) =>
      void told.push(`${after}+${count} ${lines.trim()}`),
    renumber: () => {},
    lose: () => void told.push("lost"),
    takeCounters: () => state.counters,
  };
  const log = new Log(name === "home" ? 0 : undefined);
  const upstream = new Upstream(runtime, channelWith(log), listeners, noKeeper, scheduleOf());
  return { upstream, log, asked, unlinked, told, state, rows };
}

const counters: CounterReport = { totals: noTotals(), peak: 1 };

let deliveries = 0;

function deliveryOf(changes: Partial<Delivery> = {}): Delivery {
  deliveries += 1;
  const delivery = { channel: "news", from: "news", epoch: 100, after: 40, count: 1, lines: "a\n" };
  return { ...delivery, number: deliveries, again: false, lost: false, where: false, ...changes };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

test("a link that its parent may have unawares is to be ended, and the next request is a newer one", async () => {
  const { upstream, asked, told, rows } = objectOf([...failures(5), { after: 40 }]);
  await expect(upstream.join("news")).rejects.toThrow(Unreachable);
  expect(rows.get("upstream:news")).toEqual({ parent: "news", epoch: 100, left: 100 });
  expect(upstream.isLinked("news")).toBe(false);
  expect(told).toEqual([]);
  told.length = 0;
  await upstream.join("news");
  expect(rows.get("upstream:news")).toEqual({ parent: "news", epoch: 101 });
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked.map(([, { epoch }]) => epoch)).toEqual([100, 100, 100, 100, 100, 101]);
  expect(told).toEqual([]);
});

test("a link that there was stays, though nobody can say whether it is still good", async () => {
  const row = { parent: "news", epoch: 7 };
  const { upstream, told, rows } = objectOf(failures(5), "home", new Map([["upstream:news", row]]));
  await expect(upstream.join("news")).rejects.toThrow(Unreachable);
  expect({ rows: [...rows.values()], linked: upstream.isLinked("news"), told }).toEqual({
    rows: [row],
    linked: false,
    told: [],
  });
  expect(upstream.deliver(deliveryOf({ epoch: 7 }))).toEqual({ gone: false });
  expect(told).toEqual(["40+1 a"]);
});

test("all who want a link meanwhile wait for one request, and nobody asks for one that is there", async () => {
  const { upstream, asked } = objectOf([{ after: 40 }]);
  await Promise.all([upstream.join("news"), upstream.join("news")]);
  await upstream.join("news");
  expect(asked).toHaveLength(1);
});

test("a request that was not new enough is followed by one that is, wherever the child is to be asked", async () => {
  const { upstream, asked, rows } = objectOf([
    { newer: 500 },
    { instead: "news!1", vouched: 9 },
    { after: 40 },
  ]);
  await upstream.join("news");
  expect(asked).toMatchObject([
    ["news", { epoch: 100, vouched: undefined }],
    ["news", { epoch: 501, vouched: undefined }],
    ["news!1", { epoch: 501, vouched: 9 }],
  ]);
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 501 });
  // Only who was asked last may deliver.
  expect(upstream.deliver(deliveryOf({ epoch: 501 }))).toMatchObject({ gone: true });
  expect(upstream.deliver(deliveryOf({ epoch: 501, from: "news!1" }))).toEqual({ gone: false });
});

test("a child asks its parent, and learns from it where in the order it is", async () => {
  const { upstream, asked, log } = objectOf([{ after: 40 }], "news!1!2");
  await upstream.join("news");
  expect(asked).toMatchObject([["news!1", { from: "news!1!2" }]]);
  expect(log.position).toBe(40);
  upstream.leave("news");
  await settled();
  expect(log.position).toBeUndefined();
});

test("who waits for a message waits until it has been handed on, or never will be", async () => {
  const { upstream, told } = objectOf([{ after: 40 }]);
  expect(upstream.reached("news", 41)).toBeUndefined();
  await upstream.join("news");
  expect(upstream.reached("news", 40)).toBeUndefined();
  const wait = (position: number) => upstream.reached("news", position)?.then(() => told.push(`${position}`));
  for (const position of [42, 41, 43]) void wait(position);
  upstream.deliver(deliveryOf());
  await settled();
  upstream.deliver(deliveryOf({ after: 41, lines: "b\n" }));
  await settled();
  expect(upstream.reached("news", 42)).toBeUndefined();
  upstream.leave("news");
  await settled();
  expect(told.filter((line) => !/begin|end/.test(line))).toEqual(["40+1 a", "41", "41+1 b", "42", "43"]);
});

test("what comes before the answer to a request is heard, whoever listens by then", async () => {
  const { upstream, told, state } = objectOf([{ after: 40 }]);
  state.listens = false;
  const joining = upstream.join("news");
  expect(upstream.deliver(deliveryOf())).toEqual({ gone: false });
  await joining;
  expect(upstream.deliver(deliveryOf({ again: true, count: 2, lines: "a\nb\n" }))).toMatchObject({
    gone: true,
  });
  expect(told).toEqual(["40+1 a"]);
});

test("of what comes once more only the rest is handed on, after what came before", async () => {
  const { upstream, told } = objectOf([{ after: 40 }]);
  await upstream.join("news");
  upstream.deliver(deliveryOf({ count: 2, lines: "a\nb\n" }));
  upstream.deliver(deliveryOf({ again: true, count: 3, lines: "a\nb\nc\n" }));
  expect(told).toEqual(["40+2 a\nb", "42+1 c"]);
});

test("a delivery of an earlier link changes nothing for the one that there is", async () => {
  const { upstream, log, told } = objectOf([{ after: 40 }], "news!1");
  await upstream.join("news");
  expect(upstream.deliver(deliveryOf({ epoch: 99, after: 10 }))).toMatchObject({ gone: true });
  expect({ linked: upstream.isLinked("news"), position: log.position }).toEqual({
    linked: true,
    position: 40,
  });
  expect(told).toEqual([]);
});

test("a link that has been left cannot be lost", async () => {
  const rows = new Map([["upstream:news", { parent: "news", epoch: 7 }]]);
  const { upstream, told } = objectOf([{ newer: 7 }], "home", rows);
  const joining = upstream.join("news");
  upstream.leave("news");
  await joining;
  await settled();
  expect(told).toEqual([]);
});

test("requests are newer than any before, also where the clock has gone back", async () => {
  const rows = new Map([["upstream:news", { parent: "news", epoch: 900 }]]);
  const { upstream, asked } = objectOf([{ after: 40 }], "home", rows);
  upstream.leave("news");
  await upstream.join("news");
  expect(asked).toMatchObject([["news", { epoch: 901 }]]);
});

test("where nobody listens any more a delivery ends the link, and nobody has lost anything", async () => {
  const { upstream, told, state, rows } = objectOf([{ after: 40 }]);
  await upstream.join("news");
  state.listens = false;
  expect(upstream.deliver(deliveryOf())).toMatchObject({ gone: true });
  expect({ rows: rows.size, linked: upstream.isLinked("news") }).toEqual({ rows: 0, linked: false });
  expect(told).not.toContain("lost");
});

test("counters go with the end of a link", async () => {
  const { upstream, unlinked, state } = objectOf([{ after: 40 }]);
  await upstream.join("news");
  state.counters = counters;
  upstream.leave("news");
  await settled();
  expect(unlinked).toEqual([["news", { from: "home", epoch: 100, counters }]]);
});

test("counters go with the first attempt to end a link only", async () => {
  const { upstream, unlinked, state } = objectOf([{ after: 40 }]);
  await upstream.join("news");
  Object.assign(state, { counters, failures: 1 });
  upstream.leave("news");
  await settled();
  expect(unlinked).toEqual([["news", { from: "home", epoch: 100, counters: undefined }]]);
});

test("the end of a link is not said before its request was answered", async () => {
  const { upstream, unlinked } = objectOf([{ after: 40 }]);
  const joining = upstream.join("news");
  upstream.leave("news");
  expect(unlinked).toEqual([]);
  await joining;
  await settled();
  expect(unlinked).toMatchObject([["news", { epoch: 100 }]]);
  expect(upstream.isLinked("news")).toBe(false);
});

test("who comes back to a channel by a child that is not as far waits until that is", async () => {
  const behind = [{ instead: "news!1" }, { after: 40 }];
  const { upstream, asked, told, state } = objectOf([{ after: 40 }, ...behind, ...behind, { after: 41 }]);
  await upstream.join("news");
  upstream.deliver(deliveryOf());
  upstream.leave("news");
  // Left again meanwhile, it is as far behind as before.
  void upstream.join("news");
  await settled();
  upstream.leave("news");
  const joining = upstream.join("news");
  await settled();
  expect({ linked: upstream.isLinked("news"), told: told.includes("40+1 a") }).toEqual({
    linked: false,
    told: true,
  });
  state.listens = false;
  told.length = 0;
  const epoch = asked.at(-1)?.[1].epoch ?? 0;
  expect(upstream.deliver(deliveryOf({ from: "news!1", epoch }))).toEqual({ gone: false });
  await joining;
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked.at(-1)).toMatchObject(["news!1", { still: { last: 41 } }]);
});

test("what a crash left behind is left, but for what somebody listens to", async () => {
  const rows = new Map([["upstream:news", { parent: "news!3", epoch: 7 }]]);
  const { upstream, unlinked, state } = objectOf([], "home", rows);
  upstream.start();
  expect(rows.size).toBe(1);
  state.listens = false;
  upstream.start();
  await settled();
  expect(rows.size).toBe(0);
  expect(unlinked).toMatchObject([["news!3", { from: "home", epoch: 7 }]]);
});

function failures(count: number): Answer[] {
  return Array.from({ length: count }, () => "fails");
}
