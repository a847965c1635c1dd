import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type { Delivery, LinkAnswer, LinkRequest } from "../../../src/runtime/calls.ts";
import { Upstream } from "../../../src/tree/upstream.ts";
import { noKeeper, stillWorld } from "./fake-runtime.ts";
import { channelWith, scheduleOf } from "./linked-channel.ts";

/**
 * An object that woke with a link to `news` of epoch 7, and one listener.
 * @param hasSlept whether it can be sure that it did not crash
 * @param answers what the root of `news` says to its requests, in turn
 * @param position the newest message's, if it remembers that
 * @param kept what was kept with its socket
 */
function awoken(hasSlept = true, answers: LinkAnswer[] = [], position?: number, kept?: object) {
  const asked: LinkRequest[] = [];
  const rows = new Map<string, unknown>([["upstream:news", { parent: "news", epoch: 7 }]]);
  const heard: string[] = [];
  const lost: string[] = [];
  const link = (request: LinkRequest): Promise<LinkAnswer> => {
    asked.push(request);
    const answer = answers.shift();
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("asked too often"));
  };
  const runtime = stillWorld("news!1", rows, { link: (_, request) => link(request) });
  const listeners = {
    needs: () => true,
    receive: (_: string, lines: string, count: number) => void heard.push(`${count}: ${lines}`),
    renumber: (_: string, position: number) => void heard.push(`after ${position}`),
    lose: (channel: string) => void lost.push(channel),
    takeCounters: () => undefined,
  };
  const keeper = { ...noKeeper, hasSlept, kept };
  const keep = (some: object) => {
    Object.assign(keeper, { kept: some });
    return true;
  };
  const upstream = new Upstream(
    runtime,
    channelWith(new Log(position)),
    listeners,
    { ...keeper, keep },
    scheduleOf(),
  );
  upstream.start();
  let number = 0;
  const deliver = (delivery: Partial<Delivery>) =>
    upstream.deliver({
      channel: "news",
      from: "news",
      epoch: 7,
      number: ++number,
      after: 40,
      count: 2,
      lines: "a\nb\n",
      again: false,
      lost: false,
      where: false,
      ...delivery,
    });
  return { upstream, deliver, heard, lost, rows, asked, keeper };
}

test("a delivery is taken at its sender's word when nothing is remembered", () => {
  const { deliver, heard } = awoken();
  expect(deliver({})).toEqual({ gone: false });
  expect(heard).toEqual(["2: a\nb\n"]);
});

test("a repeated delivery ends the link when nothing is remembered, as it may have come before", () => {
  const { deliver, heard, lost, rows } = awoken();
  expect(deliver({ again: true })).toEqual({ gone: true });
  expect({ heard, lost, rows: rows.size }).toEqual({ heard: [], lost: ["news"], rows: 0 });
});

test("of a repeated delivery only what is new is handed on", () => {
  const { deliver, heard } = awoken();
  deliver({});
  expect(deliver({ again: true })).toEqual({ gone: false });
  expect(deliver({ again: true, count: 3, lines: "a\nb\nc\n" })).toEqual({ gone: false });
  expect(heard).toEqual(["2: a\nb\n", "1: c\n"]);
});

test("a delivery that its sender has given up is not taken after a later one", () => {
  const { deliver, heard, lost } = awoken(true, [], 40);
  expect(deliver({ number: 7, count: 0, lines: "", again: true, where: true })).toEqual({
    gone: false,
    last: 40,
  });
  expect(deliver({ number: 6 })).toEqual({ gone: false, newer: 7 });
  expect(deliver({ number: 8 })).toEqual({ gone: false });
  expect(deliver({ number: 7 })).toEqual({ gone: false, newer: 8 });
  expect({ heard, lost }).toEqual({ heard: ["2: a\nb\n"], lost: [] });
});

test.each([
  ["that remembers where it is", 40],
  ["that has slept", undefined],
])("an object %s goes on under the numbers that its parent has given", (_, position) => {
  const { deliver, heard, lost } = awoken(true, [], position);
  expect(deliver({ after: 900, follows: 40 })).toEqual({ gone: false });
  expect(deliver({ after: 902, count: 1, lines: "c\n" })).toEqual({ gone: false });
  expect({ heard, lost }).toEqual({ heard: ["after 900", "2: a\nb\n", "1: c\n"], lost: [] });
});

test("new numbers are told once, however often that is delivered, and before there are messages", () => {
  const { deliver, heard, lost } = awoken(true, [], 40);
  const none = { count: 0, lines: "" };
  expect(deliver({ after: 900, follows: 40, ...none })).toEqual({ gone: false });
  expect(deliver({ after: 900, follows: 40, again: true })).toEqual({ gone: false });
  expect(deliver({ after: 900, follows: 40, again: true })).toEqual({ gone: false });
  expect({ heard, lost }).toEqual({ heard: ["after 900", "2: a\nb\n"], lost: [] });
});

test("new numbers that follow another position than the newest end the link", () => {
  const { deliver, heard, lost } = awoken(true, [], 39);
  expect(deliver({ after: 900, follows: 40 })).toEqual({ gone: true });
  expect({ heard, lost }).toEqual({ heard: [], lost: ["news"] });
});

test("a parent that has forgotten numbers is noticed also by an object that has slept since", async () => {
  const { deliver, keeper } = awoken();
  deliver({ after: 900, follows: 40 });
  expect(keeper.kept).toEqual({ floors: { news: 900 } });
  const woken = () => awoken(true, [{ after: 42 }], undefined, keeper.kept);
  const good = woken();
  expect(good.deliver({ after: 902 })).toEqual({ gone: false });
  for (const forgotten of [{ after: 42 }, { after: 2_000, follows: 42 }]) {
    const { deliver, lost, keeper } = woken();
    expect(deliver(forgotten)).toEqual({ gone: true });
    expect([lost, keeper.kept]).toEqual([["news"], { floors: undefined }]);
  }
  // So it is when the parent is asked.
  const { upstream, lost } = woken();
  upstream.doubt("news");
  await upstream.join("news");
  expect([lost, upstream.isLinked("news")]).toEqual([["news"], false]);
});

test("a gap ends the link", () => {
  const { deliver, heard, lost } = awoken();
  deliver({});
  expect(deliver({ after: 43 })).toEqual({ gone: true });
  expect({ heard, lost }).toEqual({ heard: ["2: a\nb\n"], lost: ["news"] });
});

test("a delivery of another epoch is not for those who listen now", () => {
  const { deliver, heard, lost, rows } = awoken();
  expect(deliver({ epoch: 6 })).toEqual({ gone: true });
  expect({ heard, lost, rows: rows.size }).toEqual({ heard: [], lost: [], rows: 1 });
});

test("an object that slept relies on its link, one that may have crashed asks first", async () => {
  expect(awoken().upstream.isLinked("news")).toBe(true);
  const { upstream, asked } = awoken(false, [{ after: 40 }], 40);
  expect(upstream.isLinked("news")).toBe(false);
  await upstream.join("news");
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7, still: { last: 40 } }]);
});

test("a link that turns out to be lost is lost for those who had it, before anyone new has one", async () => {
  const { upstream, asked, lost } = awoken(false, [{ newer: 7 }, { after: 50 }], 40);
  await upstream.join("news");
  expect({ lost, linked: upstream.isLinked("news") }).toEqual({ lost: ["news"], linked: false });
  await upstream.join("news");
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7 }, { epoch: 100, still: undefined }]);
});

test("the parent's word spares the question for whom it was given, and only of the same epoch", async () => {
  const { upstream, asked } = awoken(false, [], 40);
  expect(upstream.isVouchedFor("news", 7)).toBe(true);
  expect(upstream.isVouchedFor("news", 6)).toBe(false);
  expect(upstream.isVouchedFor("news", undefined)).toBe(false);
  // Others do not know when it was given.
  expect({ linked: upstream.isLinked("news"), asked }).toEqual({ linked: false, asked: [] });
  expect(awoken(false, []).upstream.isVouchedFor("news", 7)).toBe(false);
});

test("an answer to a question asked before the link was called into question does not count", async () => {
  const { upstream, asked } = awoken(false, [{ after: 40 }, { after: 40 }], 40);
  const joining = upstream.join("news");
  upstream.doubt("news");
  await joining;
  expect({ linked: upstream.isLinked("news"), asked: asked.length }).toEqual({ linked: true, asked: 2 });
});

test("who comes back to a channel asks the child that it left, and the root if that does not answer", async () => {
  const asked: string[] = [];
  const rows = new Map<string, unknown>([["upstream:all", { parent: "all!7", epoch: 7 }]]);
  const link = (object: string): Promise<LinkAnswer> => {
    asked.push(object);
    return object === "all" ? Promise.resolve({ after: 40 }) : Promise.reject(new Error("it has crashed"));
  };
  const runtime = stillWorld("news", rows, { link });
  const listeners = {
    needs: () => false,
    receive: () => {},
    renumber: () => {},
    lose: () => {},
    takeCounters: () => undefined,
  };
  const upstream = new Upstream(runtime, channelWith(new Log(40)), listeners, noKeeper, scheduleOf());
  upstream.start();
  await expect(upstream.join("all")).rejects.toThrow();
  await upstream.join("all");
  expect([...new Set(asked)]).toEqual(["all!7", "all"]);
});

test("a link by which a message does not arrive is lost, and its parent is told so", async () => {
  const lost: string[] = [];
  const unlinked: string[] = [];
  const clock = { now: 100 };
  const unlink = async (object: string) => void unlinked.push(object);
  const rows = new Map<string, unknown>([["upstream:news", { parent: "news", epoch: 7 }]]);
  const runtime = { ...stillWorld("home", rows, { unlink }), now: () => clock.now };
  const lose = (channel: string) => void lost.push(channel);
  const ignore = () => {};
  const listeners = {
    needs: () => true,
    receive: ignore,
    renumber: ignore,
    lose,
    takeCounters: () => undefined,
  };
  const keeper = { ...noKeeper, hasSlept: true };
  const upstream = new Upstream(runtime, channelWith(new Log(0)), listeners, keeper, scheduleOf());
  upstream.start();
  const reached = upstream.reached("news", 41);
  expect(upstream.loseOverdue()).toBe(true);
  clock.now += 100_000;
  expect(upstream.loseOverdue()).toBe(false);
  await reached;
  expect({ lost, unlinked }).toEqual({ lost: ["news"], unlinked: ["news"] });
});
