/** Links that nobody here wants any more end at their parents too, whenever those can be reached. */
import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type { Keeper } from "../../../src/runtime/runtime.ts";
import { Upstream } from "../../../src/tree/upstream.ts";
import { storeOf } from "../../simulation/store.ts";
import { newKeeper, noKeeper, stillWorld } from "./fake-runtime.ts";
import { channelWith, scheduleOf } from "./linked-channel.ts";

const asleep: Keeper = { ...noKeeper, hasSlept: true };

/** An object with no listeners but those that the test names, and what it has told other objects. */
function objectOf(rows: Map<string, unknown>, keeper = asleep) {
  const state = { isReachable: true, takes: true, now: 1_000_000, listens: "news", ended: 0 };
  const unlinked: [parent: string, epoch: number][] = [];
  const unlink = async (parent: string, { epoch }: { epoch: number }) => {
    unlinked.push([parent, epoch]);
    if (!state.isReachable) throw new Error("it can't be reached");
    return undefined;
  };
  const link = async () => ({ after: 0 });
  const store = storeOf(rows, () => state.takes);
  const runtime = { ...stillWorld("home", rows, { link, unlink }), store, now: () => state.now };
  const listeners = {
    needs: (channel: string) => channel === state.listens,
    receive: () => {},
    renumber: () => {},
    lose: () => {},
    takeCounters: () => undefined,
  };
  const stay = () => {
    state.ended += 1;
  };
  const schedule = { ...scheduleOf(), stay };
  const upstream = new Upstream(runtime, channelWith(new Log(0)), listeners, keeper, schedule);
  upstream.start();
  state.listens = "";
  return { upstream, state, unlinked };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

const linked = () => new Map<string, unknown>([["upstream:news", { parent: "news!1", epoch: 7 }]]);

test("the row of a link stays until its parent knows that it has ended", async () => {
  const rows = linked();
  const { upstream, unlinked } = objectOf(rows);
  upstream.leave("news");
  expect([rows.size, upstream.isLinked("news")]).toEqual([1, false]);
  await settled();
  expect({ rows: rows.size, unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("an object that crashed before its parent knew tells it in its next life", async () => {
  const rows = linked();
  objectOf(rows).upstream.leave("news");
  const { upstream, unlinked } = objectOf(rows);
  upstream.start();
  await settled();
  expect({ rows: rows.size, unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("a parent that can't be reached is told later, by whichever life of the object", async () => {
  const rows = linked();
  const first = objectOf(rows);
  first.state.isReachable = false;
  first.upstream.leave("news");
  await settled();
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 7, left: 1_000_000 });
  expect([first.state.ended, first.upstream.dueAt]).toEqual([1, 1_010_000]);
  first.upstream.retry();
  await settled();
  expect(first.unlinked).toHaveLength(5);
  const next = objectOf(rows);
  await settled();
  expect({ rows: rows.size, unlinked: next.unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("another link to the channel takes the place of one whose parent could not be told", async () => {
  const rows = linked();
  const { upstream, state } = objectOf(rows);
  state.isReachable = false;
  upstream.leave("news");
  await settled();
  state.listens = "news";
  expect(upstream.dueAt).toBe(Number.POSITIVE_INFINITY);
  await upstream.join("news");
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 1_000_000 });
});

test("a link that an object could not make sure of is in doubt after sleep too", async () => {
  const keeper = newKeeper();
  const { upstream } = objectOf(linked(), keeper);
  expect(upstream.isLinked("news")).toBe(true);
  upstream.doubt("news");
  upstream.settle();
  expect(objectOf(linked(), keeper).upstream.isLinked("news")).toBe(false);
  await upstream.join("news");
  upstream.settle();
  expect(objectOf(linked(), keeper).upstream.isLinked("news")).toBe(true);
});

test("a message that arrived before sleep is not waited for once the parent says so", async () => {
  const { upstream, state } = objectOf(linked());
  state.listens = "news";
  expect(upstream.isUnlocated("news")).toBe(true);
  let isOver = false;
  void upstream.reached("news", 0)?.then(() => {
    isOver = true;
  });
  upstream.doubt("news");
  await upstream.join("news");
  await settled();
  expect([isOver, upstream.isUnlocated("news")]).toEqual([true, false]);
});

test("what storage would not delete is not taken for a link after sleep", async () => {
  const rows = linked();
  const keeper = newKeeper();
  const { upstream, state } = objectOf(rows, keeper);
  expect(upstream.isLinked("news")).toBe(true);
  state.takes = false;
  const lost = { channel: "news", from: "news!1", epoch: 7, number: 1, after: 0, count: 0, lines: "" };
  upstream.deliver({ ...lost, again: false, lost: true, where: false });
  upstream.settle();
  expect(rows.size).toBe(1);
  const next = objectOf(rows, keeper);
  next.state.listens = "news";
  expect(next.upstream.isLinked("news")).toBe(false);
});
