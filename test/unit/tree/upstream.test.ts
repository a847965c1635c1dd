import { expect, test } from "vitest";
import { Log } from "../../../src/channel/log.ts";
import type { Delivery, LinkAnswer, LinkRequest } from "../../../src/runtime/calls.ts";
import { Upstream } from "../../../src/tree/upstream.ts";
import { fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { receiverOf, scheduleOf } from "./linked-channel.ts";

/**
 * An object that woke with a link to `news` of epoch 7, and one subscriber.
 * @param hasSlept whether it has hibernated, rather than crashed
 * @param answers the answers of the root of `news` to its requests, in turn
 * @param position the position of the newest message, if the object knows it
 * @param kept the state in the attachment of its socket
 */
function wokenObject(hasSlept = true, answers: LinkAnswer[] = [], position?: number, kept?: object) {
  const asked: LinkRequest[] = [];
  const rows = new Map<string, unknown>([["upstream:news", { parent: "news", epoch: 7 }]]);
  const received: string[] = [];
  const lost: string[] = [];
  const link = (request: LinkRequest): Promise<LinkAnswer> => {
    asked.push(request);
    const answer = answers.shift();
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("asked too often"));
  };
  const runtime = fakeRuntime("news!1", rows, { link: (_, request) => link(request) });
  const receiver = receiverOf({
    receive: (_, lines, count) => void received.push(`${count}: ${lines}`),
    renumber: (_, position) => void received.push(`after ${position}`),
    lose: (channel) => void lost.push(channel),
  });
  const keeper = { ...noKeeper, hasSlept, kept };
  const keep = (some: object) => {
    Object.assign(keeper, { kept: some });
    return true;
  };
  const upstream = new Upstream(
    { runtime, connections: { ...keeper, keep }, schedule: scheduleOf() },
    new Log(position),
    receiver,
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
  return { upstream, deliver, received, lost, rows, asked, keeper };
}

test("without a position, a delivery is accepted with the sender's", () => {
  const { deliver, received } = wokenObject();
  expect(deliver({})).toEqual({ gone: false });
  expect(received).toEqual(["2: a\nb\n"]);
});

test("without a position, a repeated delivery ends the link, as it may have been received before", () => {
  const { deliver, received, lost, rows } = wokenObject();
  expect(deliver({ again: true })).toEqual({ gone: true });
  expect({ received, lost, rows: rows.size }).toEqual({ received: [], lost: ["news"], rows: 0 });
});

test("of a repeated delivery, only the new messages are received", () => {
  const { deliver, received } = wokenObject();
  deliver({});
  expect(deliver({ again: true })).toEqual({ gone: false });
  expect(deliver({ again: true, count: 3, lines: "a\nb\nc\n" })).toEqual({ gone: false });
  expect(received).toEqual(["2: a\nb\n", "1: c\n"]);
});

test("a delivery that its sender has abandoned is rejected after a later one", () => {
  const { deliver, received, lost } = wokenObject(true, [], 40);
  expect(deliver({ number: 7, count: 0, lines: "", again: true, where: true })).toEqual({
    gone: false,
    last: 40,
  });
  expect(deliver({ number: 6 })).toEqual({ gone: false, newer: 7 });
  expect(deliver({ number: 8 })).toEqual({ gone: false });
  expect(deliver({ number: 7 })).toEqual({ gone: false, newer: 8 });
  expect({ received, lost }).toEqual({ received: ["2: a\nb\n"], lost: [] });
});

test.each([
  ["that knows its position", 40],
  ["that has hibernated", undefined],
])("an object %s continues after the position to which its parent has moved", (_, position) => {
  const { deliver, received, lost } = wokenObject(true, [], position);
  expect(deliver({ after: 900, follows: 40 })).toEqual({ gone: false });
  expect(deliver({ after: 902, count: 1, lines: "c\n" })).toEqual({ gone: false });
  expect({ received, lost }).toEqual({ received: ["after 900", "2: a\nb\n", "1: c\n"], lost: [] });
});

test("subscribers get a new position once, however often it is delivered, even without messages", () => {
  const { deliver, received, lost } = wokenObject(true, [], 40);
  const none = { count: 0, lines: "" };
  expect(deliver({ after: 900, follows: 40, ...none })).toEqual({ gone: false });
  expect(deliver({ after: 900, follows: 40, again: true })).toEqual({ gone: false });
  expect(deliver({ after: 900, follows: 40, again: true })).toEqual({ gone: false });
  expect({ received, lost }).toEqual({ received: ["after 900", "2: a\nb\n"], lost: [] });
});

test("a new position that follows another one than the newest ends the link", () => {
  const { deliver, received, lost } = wokenObject(true, [], 39);
  expect(deliver({ after: 900, follows: 40 })).toEqual({ gone: true });
  expect({ received, lost }).toEqual({ received: [], lost: ["news"] });
});

test("an object notices that its parent has lost positions, even after hibernation", async () => {
  const { deliver, keeper } = wokenObject();
  deliver({ after: 900, follows: 40 });
  expect(keeper.kept).toEqual({ floors: { news: 900 } });
  const woken = () => wokenObject(true, [{ after: 42 }], undefined, keeper.kept);
  const good = woken();
  expect(good.deliver({ after: 902 })).toEqual({ gone: false });
  for (const forgotten of [{ after: 42 }, { after: 2_000, follows: 42 }]) {
    const { deliver, lost, keeper } = woken();
    expect(deliver(forgotten)).toEqual({ gone: true });
    expect([lost, keeper.kept]).toEqual([["news"], { floors: undefined }]);
  }
  // It also notices that from the parent's answer to a request.
  const { upstream, lost } = woken();
  upstream.doubt("news");
  await upstream.join("news");
  expect([lost, upstream.isLinked("news")]).toEqual([["news"], false]);
});

test("a gap ends the link", () => {
  const { deliver, received, lost } = wokenObject();
  deliver({});
  expect(deliver({ after: 43 })).toEqual({ gone: true });
  expect({ received, lost }).toEqual({ received: ["2: a\nb\n"], lost: ["news"] });
});

test("a delivery with another epoch is rejected", () => {
  const { deliver, received, lost, rows } = wokenObject();
  expect(deliver({ epoch: 6 })).toEqual({ gone: true });
  expect({ received, lost, rows: rows.size }).toEqual({ received: [], lost: [], rows: 1 });
});

test("an object that has hibernated relies on its link, and one that may have crashed asks first", async () => {
  expect(wokenObject().upstream.isLinked("news")).toBe(true);
  const { upstream, asked } = wokenObject(false, [{ after: 40 }], 40);
  expect(upstream.isLinked("news")).toBe(false);
  await upstream.join("news");
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7, still: { last: 40, restarted: true } }]);
});

test("a link that turns out to be lost is reported to its subscribers, before another one is made", async () => {
  const { upstream, asked, lost } = wokenObject(false, [{ newer: 7 }, { after: 50 }], 40);
  await upstream.join("news");
  expect({ lost, linked: upstream.isLinked("news") }).toEqual({ lost: ["news"], linked: false });
  await upstream.join("news");
  expect(upstream.isLinked("news")).toBe(true);
  expect(asked).toMatchObject([{ epoch: 7 }, { epoch: 100, still: undefined }]);
});

test("a link that the parent vouches for needs no request, if its epoch is the same", async () => {
  const { upstream, asked } = wokenObject(false, [], 40);
  expect(upstream.isVouchedFor("news", 7)).toBe(true);
  expect(upstream.isVouchedFor("news", 6)).toBe(false);
  expect(upstream.isVouchedFor("news", undefined)).toBe(false);
  // Other requests don't know when the parent vouched for the link.
  expect({ linked: upstream.isLinked("news"), asked }).toEqual({ linked: false, asked: [] });
  expect(wokenObject(false, []).upstream.isVouchedFor("news", 7)).toBe(false);
});

test("an answer doesn't confirm a link that was doubted after the request", async () => {
  const { upstream, asked } = wokenObject(false, [{ after: 40 }, { after: 40 }], 40);
  const joining = upstream.join("news");
  upstream.doubt("news");
  await joining;
  expect({ linked: upstream.isLinked("news"), asked: asked.length }).toEqual({ linked: true, asked: 2 });
});

test("an object that rejoins a channel asks its former parent, and the root if that doesn't answer", async () => {
  const asked: string[] = [];
  const rows = new Map<string, unknown>([["upstream:all", { parent: "all!7", epoch: 7 }]]);
  const link = (object: string): Promise<LinkAnswer> => {
    asked.push(object);
    return object === "all" ? Promise.resolve({ after: 40 }) : Promise.reject(new Error("it has crashed"));
  };
  const runtime = fakeRuntime("news", rows, { link });
  const receiver = receiverOf({ needs: () => false });
  const upstream = new Upstream({ runtime, connections: noKeeper, schedule: scheduleOf() }, new Log(40), receiver);
  upstream.start();
  await expect(upstream.join("all")).rejects.toThrow();
  await upstream.join("all");
  expect([...new Set(asked)]).toEqual(["all!7", "all"]);
});

test("a link whose messages don't arrive is lost, and ended at its parent", async () => {
  const lost: string[] = [];
  const unlinked: string[] = [];
  const clock = { now: 100 };
  const unlink = async (object: string) => void unlinked.push(object);
  const rows = new Map<string, unknown>([["upstream:news", { parent: "news", epoch: 7 }]]);
  const runtime = { ...fakeRuntime("home", rows, { unlink }), now: () => clock.now };
  const receiver = receiverOf({ lose: (channel) => void lost.push(channel) });
  const keeper = { ...noKeeper, hasSlept: true };
  const upstream = new Upstream({ runtime, connections: keeper, schedule: scheduleOf() }, new Log(0), receiver);
  upstream.start();
  const reached = upstream.reached("news", 41);
  expect(upstream.loseOverdue()).toBe(true);
  clock.now += 100_000;
  expect(upstream.loseOverdue()).toBe(false);
  await reached;
  expect({ lost, unlinked }).toEqual({ lost: ["news"], unlinked: ["news"] });
});
