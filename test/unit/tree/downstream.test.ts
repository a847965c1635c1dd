import { expect, test } from "vitest";
import type { Delivery, DeliveryAnswer } from "../../../src/runtime/calls.ts";
import { type AlarmState, fakeRuntime, noKeeper, type Others } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

interface Call {
  object: string;
  delivery: Delivery;
  answer: (answer: DeliveryAnswer) => void;
  fail: () => void;
}

/** The links of the channel `news`, whose calls the test answers one by one. */
function newsOf(rows = new Map<string, unknown>(), maxBuffered = 1_000, alarm: AlarmState = { time: 5 }) {
  const calls: Call[] = [];
  let called = () => {};
  const others: Others = {
    deliver: (object, delivery) =>
      new Promise((answer, fail) => {
        calls.push({ object, delivery, answer, fail: () => fail(new Error("lost")) });
        called();
      }),
  };
  const runtime = fakeRuntime("news", rows, others, alarm);
  const handlers = {
    mark: () => {
      alarm.time = (downstream.schedule.rest ?? 0) + 1;
    },
    flush: () => downstream.flush(),
  };
  const downstream = new LinkedChannel(
    runtime,
    maxBuffered,
    { historySeconds: 0, historyBytes: 0 },
    handlers,
    noKeeper,
  );
  /** Resolves with the next call. */
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
  return { downstream, call, rows, alarm };
}

test("messages during a call share the next one", async () => {
  const { downstream, call } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  const first = await call();
  downstream.append("b\n", 1);
  downstream.append("c\nd\n", 2);
  downstream.flush();
  first.answer({ gone: false });
  const second = await call();
  expect(first.delivery).toMatchObject({ count: 1, lines: "a\n" });
  expect(second.delivery).toMatchObject({ after: first.delivery.after + 1, count: 3, lines: "b\nc\nd\n" });
});

test("a failed call is repeated from the same position, and marked as a repetition", async () => {
  const { downstream, call } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  const first = await call();
  first.fail();
  const second = await call();
  expect(first.delivery.again).toBe(false);
  const number = Number(first.delivery.number) + 1;
  expect(second.delivery).toEqual({ ...first.delivery, number, again: true });
  second.answer({ gone: false });
});

test("a delivery with an outdated number is sent again with a newer one", async () => {
  const { downstream, call } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  const first = await call();
  first.answer({ gone: false, newer: 1_000_000 });
  await Promise.resolve();
  downstream.flush();
  const second = await call();
  expect(second.delivery).toEqual({ ...first.delivery, number: 1_000_001 });
  second.answer({ gone: false });
});

test("a link to an unreachable object is lost, which is stored, and reported once the object is reachable", async () => {
  const { downstream, call, rows } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  for (let attempt = 0; attempt < 5; attempt++) (await call()).fail();
  const notice = await call();
  expect(notice.delivery).toMatchObject({ lost: true, count: 0, lines: "" });
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 100 });
});

test("a link that ends during its last attempt leaves no rows", async () => {
  const { downstream, call, rows } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  for (let attempt = 0; attempt < 4; attempt++) (await call()).fail();
  const last = await call();
  downstream.unlink({ from: "home", epoch: 1 });
  last.fail();
  await new Promise(setImmediate);
  expect(rows).toEqual(new Map());
});

test("a link that is too far behind is lost, and the others are not", async () => {
  const { downstream, call, rows } = newsOf(new Map(), 40);
  downstream.link({ from: "slow", epoch: 1 });
  downstream.link({ from: "quick", epoch: 1 });
  const appendAndFlush = () => {
    downstream.append("0123456\n", 1);
    downstream.flush();
  };
  appendAndFlush();
  const slow = await call();
  expect(slow.object).toBe("slow");
  for (let message = 1; message <= 8; message++) {
    const quick = await call();
    expect(quick).toMatchObject({ object: "quick", delivery: { count: 1, lost: false } });
    quick.answer({ gone: false });
    appendAndFlush();
  }
  expect(rows.get("downstream:slow")).toEqual({ epoch: 1, lostAt: 100 });
  expect(rows.get("downstream:quick")).toEqual({ epoch: 1, lostAt: undefined });
  slow.answer({ gone: false });
  for (const next of [await call(), await call()]) {
    expect(next.delivery.lost).toBe(next.object === "slow");
  }
});

test("after a crash during deliveries, all links are lost; after hibernation, none is", async () => {
  const { downstream, rows, alarm } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  expect(newsOf(new Map(rows), undefined, { ...alarm }).downstream.isBusy).toBe(false);
  // An alarm that has gone off doesn't mark pending deliveries.
  expect(newsOf(new Map(rows), undefined, { time: undefined }).downstream.isBusy).toBe(false);
  downstream.append("a\n", 1);
  const { downstream: next, call } = newsOf(new Map(rows), undefined, { ...alarm });
  expect(next.isBusy).toBe(true);
  next.flush();
  expect((await call()).delivery).toMatchObject({ lost: true });
});

test("an object that asks for its link again gets it only with the same epoch, and no new one", () => {
  const { downstream, rows, alarm } = newsOf();
  const still = { last: undefined };
  expect(downstream.link({ from: "home", epoch: 1, still })).toEqual({ newer: 1 });
  expect(rows.size).toBe(0);
  const { after } = linked(downstream, 1);
  expect(downstream.link({ from: "home", epoch: 1, still })).toEqual({ after });
  expect(downstream.vouchFor("home")).toBe(1);
  downstream.append("a\n", 1);
  const { downstream: crashed } = newsOf(new Map(rows), undefined, alarm);
  expect(crashed.vouchFor("home")).toBeUndefined();
  expect(crashed.link({ from: "home", epoch: 1, still })).toEqual({ newer: 1 });
});

test("an object that asks for its link without a position loses it if a delivery may have been received", async () => {
  const { downstream, call } = newsOf();
  const { after } = linked(downstream, 1);
  downstream.append("a\n", 1);
  downstream.flush();
  (await call()).fail();
  await call();
  expect(downstream.link({ from: "home", epoch: 1, still: { last: after } })).toEqual({ after });
  expect(downstream.link({ from: "home", epoch: 1, still: { last: undefined } })).toEqual({ newer: 1 });
});

test("after a crash of the parent, an object that asks for its link reports its position", async () => {
  const { rows, alarm } = newsOf();
  for (const [last, isLinked] of [
    [11, true],
    [10, true],
    [9, false],
    [undefined, false],
  ] as const) {
    const stored = new Map<string, unknown>(rows)
      .set("downstream:home", { epoch: 1, lostAt: undefined })
      .set("order", { position: 10, busy: false, alarm: undefined, kept: true })
      .set("history:0", { after: 10, counts: [1], lines: "news!a\n", times: [100], keys: [] });
    const { downstream } = newsOf(stored, undefined, alarm);
    expect(downstream.vouchFor("home")).toBeUndefined();
    const answer = downstream.link({ from: "home", epoch: 1, still: { last } });
    expect(answer).toEqual(isLinked ? { after: last } : { newer: 1 });
    expect(downstream.vouchFor("home")).toBe(isLinked ? 1 : undefined);
  }
});

function linked(downstream: LinkedChannel, epoch: number): { after: number } {
  const answer = downstream.link({ from: "home", epoch });
  if ("after" in answer) return answer;
  throw new Error("not linked");
}
