/** Links without subscribers are ended at their parents too, once these are reachable. */
import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type { Keeper } from "../../../src/runtime/runtime.ts";
import { Upstream } from "../../../src/tree/upstream.ts";
import { storeOf } from "../../simulation/store.ts";
import { fakeRuntime, newKeeper, noKeeper } from "./fake-runtime.ts";
import { scheduleOf } from "./linked-channel.ts";

const hibernated: Keeper = { ...noKeeper, hasSlept: true };

/** An object with the subscribers that the test sets, and the links that it has ended. */
function objectOf(rows: Map<string, unknown>, keeper = hibernated) {
  const state = { isReachable: true, accepts: true, now: 1_000_000, subscribed: "news", ended: 0 };
  const unlinked: [parent: string, epoch: number][] = [];
  const unlink = async (parent: string, { epoch }: { epoch: number }) => {
    unlinked.push([parent, epoch]);
    if (!state.isReachable) throw new Error("it can't be reached");
    return undefined;
  };
  const link = async () => ({ after: 0 });
  const store = storeOf(rows, () => state.accepts);
  const runtime = { ...fakeRuntime("home", rows, { link, unlink }), store, now: () => state.now };
  const receiver = {
    needs: (channel: string) => channel === state.subscribed,
    receive: () => {},
    renumber: () => {},
    lose: () => {},
    takeCounters: () => undefined,
  };
  const stay = () => {
    state.ended += 1;
  };
  const schedule = { ...scheduleOf(), stay };
  const upstream = new Upstream({ runtime, connections: keeper, schedule }, new Log(0), receiver);
  upstream.start();
  state.subscribed = "";
  return { upstream, state, unlinked };
}

/** Resolves when all promises that depend on nothing else have settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

const linked = () => new Map<string, unknown>([["upstream:news", { parent: "news!1", epoch: 7 }]]);

test("the row of a link stays until its parent knows that the link has ended", async () => {
  const rows = linked();
  const { upstream, unlinked } = objectOf(rows);
  upstream.leave("news");
  expect([rows.size, upstream.isLinked("news")]).toEqual([1, false]);
  await settled();
  expect({ rows: rows.size, unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("an object that crashed before its parent knew tells it when it wakes", async () => {
  const rows = linked();
  objectOf(rows).upstream.leave("news");
  const { upstream, unlinked } = objectOf(rows);
  upstream.start();
  await settled();
  expect({ rows: rows.size, unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("an unreachable parent is told later, even after the object has left memory", async () => {
  const rows = linked();
  const first = objectOf(rows);
  first.state.isReachable = false;
  first.upstream.leave("news");
  await settled();
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 7, left: 1_000_000 });
  expect([first.state.ended, first.upstream.unlinks.dueAt]).toEqual([1, 1_010_000]);
  first.upstream.unlinks.retry();
  await settled();
  expect(first.unlinked).toHaveLength(5);
  const next = objectOf(rows);
  await settled();
  expect({ rows: rows.size, unlinked: next.unlinked }).toEqual({ rows: 0, unlinked: [["news!1", 7]] });
});

test("a new link to the channel replaces one whose parent couldn't be told", async () => {
  const rows = linked();
  const { upstream, state } = objectOf(rows);
  state.isReachable = false;
  upstream.leave("news");
  await settled();
  state.subscribed = "news";
  expect(upstream.unlinks.dueAt).toBe(Number.POSITIVE_INFINITY);
  await upstream.join("news");
  expect(rows.get("upstream:news")).toEqual({ parent: "news!1", epoch: 1_000_000 });
});

test("an unconfirmed link stays unconfirmed during hibernation", async () => {
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

test("waiting for a message that arrived before hibernation ends with the parent's answer", async () => {
  const { upstream, state } = objectOf(linked());
  state.subscribed = "news";
  expect(upstream.isUnlocated("news")).toBe(true);
  let isResolved = false;
  void upstream.reached("news", 0)?.then(() => {
    isResolved = true;
  });
  upstream.doubt("news");
  await upstream.join("news");
  await settled();
  expect([isResolved, upstream.isUnlocated("news")]).toEqual([true, false]);
});

test("after hibernation, a row that storage refused to delete doesn't count as a link", async () => {
  const rows = linked();
  const keeper = newKeeper();
  const { upstream, state } = objectOf(rows, keeper);
  expect(upstream.isLinked("news")).toBe(true);
  state.accepts = false;
  const lost = { channel: "news", from: "news!1", epoch: 7, number: 1, after: 0, count: 0, lines: "" };
  upstream.deliver({ ...lost, again: false, lost: true, where: false });
  upstream.settle();
  expect(rows.size).toBe(1);
  const next = objectOf(rows, keeper);
  next.state.subscribed = "news";
  expect(next.upstream.isLinked("news")).toBe(false);
});
