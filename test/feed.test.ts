import { expect, test } from "vitest";
import { Feed } from "../src/feed.ts";
import type { Delivery, DeliveryAnswer } from "../src/links.ts";
import { stillWorld } from "./world.ts";

interface Call {
  object: string;
  delivery: Delivery;
  answer: (answer: DeliveryAnswer) => void;
  fail: () => void;
}

/** A feed of the channel `news` with calls that the test answers one by one. */
function feedOf(rows = new Map<string, unknown>(), maxBuffered = 1_000) {
  const calls: Call[] = [];
  let called = () => {};
  const world = stillWorld("news", rows, (object) => ({
    deliver: (delivery) =>
      new Promise((answer, fail) => {
        calls.push({ object, delivery, answer, fail: () => fail(new Error("lost")) });
        called();
      }),
  }));
  const feed = new Feed(world, "news", maxBuffered, {
    busy: () => {},
    behind: () => feed.flush(),
    farewell: () => {},
    ended: () => {},
  });
  /** The next call, when it is made. */
  const call = async () => {
    while (calls.length === 0) {
      await new Promise<void>((resolve) => {
        called = resolve;
      });
    }
    const [next] = calls.splice(0, 1);
    if (!next) throw new Error("no call");
    return next;
  };
  return { feed, call, rows };
}

test("what is placed while a call is under way goes out together in the next one", async () => {
  const { feed, call } = feedOf();
  feed.link({ from: "home", epoch: 1 });
  feed.append("a\n", 1);
  feed.flush();
  const first = await call();
  feed.append("b\n", 1);
  feed.append("c\nd\n", 2);
  feed.flush();
  first.answer({ gone: false });
  const second = await call();
  expect(first.delivery).toMatchObject({ count: 1, lines: "a\n" });
  expect(second.delivery).toMatchObject({ after: first.delivery.after + 1, count: 3, lines: "b\nc\nd\n" });
});

test("a failed call is repeated after the same place, and marked", async () => {
  const { feed, call } = feedOf();
  feed.link({ from: "home", epoch: 1 });
  feed.append("a\n", 1);
  feed.flush();
  const first = await call();
  first.fail();
  const second = await call();
  expect(first.delivery.again).toBe(false);
  expect(second.delivery).toEqual({ ...first.delivery, again: true });
  second.answer({ gone: false });
});

test("a link that stays unreachable is lost, in storage too, and told so when it can be", async () => {
  const { feed, call, rows } = feedOf();
  feed.link({ from: "home", epoch: 1 });
  feed.append("a\n", 1);
  feed.flush();
  for (let attempt = 0; attempt < 5; attempt++) (await call()).fail();
  const notice = await call();
  expect(notice.delivery).toMatchObject({ lost: true, count: 0, lines: "" });
  expect(rows.get("link:home")).toEqual({ epoch: 1, lost: true });
});

test("a link that falls too far behind is lost, and others lose nothing", async () => {
  const { feed, call, rows } = feedOf(new Map(), 40);
  feed.link({ from: "slow", epoch: 1 });
  feed.link({ from: "quick", epoch: 1 });
  const placeAndFlush = () => {
    feed.append("0123456\n", 1);
    feed.flush();
  };
  placeAndFlush();
  const slow = await call();
  expect(slow.object).toBe("slow");
  for (let message = 1; message <= 8; message++) {
    const quick = await call();
    expect(quick).toMatchObject({ object: "quick", delivery: { count: 1, lost: false } });
    quick.answer({ gone: false });
    placeAndFlush();
  }
  expect(rows.get("link:slow")).toEqual({ epoch: 1, lost: true });
  expect(rows.get("link:quick")).toEqual({ epoch: 1, lost: false });
  slow.answer({ gone: false });
  for (const next of [await call(), await call()]) {
    expect(next.delivery.lost).toBe(next.object === "slow");
  }
});

test("a feed that crashed while busy tells every link, one that slept none", async () => {
  const { feed, rows } = feedOf();
  feed.link({ from: "home", epoch: 1 });
  expect(feedOf(new Map(rows)).feed.isBusy).toBe(false);
  feed.append("a\n", 1);
  const { feed: next, call } = feedOf(new Map(rows));
  expect(next.isBusy).toBe(true);
  next.flush();
  expect((await call()).delivery).toMatchObject({ lost: true });
});

test("who asks whether it is still linked is told so only if its epoch is counted on, and is not linked anew", () => {
  const { feed, rows } = feedOf();
  const still = { last: undefined };
  expect(feed.link({ from: "home", epoch: 1, still })).toEqual({ newer: 1 });
  expect(rows.size).toBe(0);
  const { after } = linked(feed, 1);
  expect(feed.link({ from: "home", epoch: 1, still })).toEqual({ after });
  expect(feed.vouchFor("home")).toBe(1);
  feed.append("a\n", 1);
  const { feed: crashed } = feedOf(new Map(rows));
  expect(crashed.vouchFor("home")).toBeUndefined();
  expect(crashed.link({ from: "home", epoch: 1, still })).toEqual({ newer: 1 });
});

test("who asks that and does not know what has arrived is not linked any more if nobody does", async () => {
  const { feed, call } = feedOf();
  const { after } = linked(feed, 1);
  feed.append("a\n", 1);
  feed.flush();
  (await call()).fail();
  await call();
  expect(feed.link({ from: "home", epoch: 1, still: { last: after } })).toEqual({ after });
  expect(feed.link({ from: "home", epoch: 1, still: { last: undefined } })).toEqual({ newer: 1 });
});

function linked(feed: Feed, epoch: number): { after: number } {
  const answer = feed.link({ from: "home", epoch });
  if ("after" in answer) return answer;
  throw new Error("not linked");
}
