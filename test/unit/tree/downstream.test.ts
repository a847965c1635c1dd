import { expect, test } from "vitest";
import type { Delivery, DeliveryAnswer } from "../../../src/runtime/calls.ts";
import { type AlarmState, noKeeper, type Others, stillWorld } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

interface Call {
  object: string;
  delivery: Delivery;
  answer: (answer: DeliveryAnswer) => void;
  fail: () => void;
}

/** The links of the channel `news`, with calls that the test answers one by one. */
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
  const runtime = stillWorld("news", rows, others, alarm);
  const told = {
    mark: () => {
      alarm.time = (downstream.schedule.rest ?? 0) + 1;
    },
    flush: () => downstream.flush(),
  };
  const downstream = new LinkedChannel(
    runtime,
    maxBuffered,
    { historySeconds: 0, historyBytes: 0 },
    told,
    noKeeper,
  );
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
  return { downstream, call, rows, alarm };
}

test("what comes while a call is under way goes out together in the next one", async () => {
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

test("a failed call is repeated after the same position, and marked", async () => {
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

test("a delivery that comes after one with a higher number is sent again with a still higher one", async () => {
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

test("a link that stays unreachable is lost, in storage too, and told so when it can be", async () => {
  const { downstream, call, rows } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  downstream.append("a\n", 1);
  downstream.flush();
  for (let attempt = 0; attempt < 5; attempt++) (await call()).fail();
  const notice = await call();
  expect(notice.delivery).toMatchObject({ lost: true, count: 0, lines: "" });
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 100 });
});

test("a link that ends while the last attempt to reach it fails leaves nothing in storage", async () => {
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

test("a link that falls too far behind is lost, and others lose nothing", async () => {
  const { downstream, call, rows } = newsOf(new Map(), 40);
  downstream.link({ from: "slow", epoch: 1 });
  downstream.link({ from: "quick", epoch: 1 });
  const placeAndFlush = () => {
    downstream.append("0123456\n", 1);
    downstream.flush();
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
  expect(rows.get("downstream:slow")).toEqual({ epoch: 1, lostAt: 100 });
  expect(rows.get("downstream:quick")).toEqual({ epoch: 1, lostAt: undefined });
  slow.answer({ gone: false });
  for (const next of [await call(), await call()]) {
    expect(next.delivery.lost).toBe(next.object === "slow");
  }
});

test("an object that crashed while busy tells every link, one that slept none", async () => {
  const { downstream, rows, alarm } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  expect(newsOf(new Map(rows), undefined, { ...alarm }).downstream.isBusy).toBe(false);
  // An alarm that has gone off is none that says something.
  expect(newsOf(new Map(rows), undefined, { time: undefined }).downstream.isBusy).toBe(false);
  downstream.append("a\n", 1);
  const { downstream: next, call } = newsOf(new Map(rows), undefined, { ...alarm });
  expect(next.isBusy).toBe(true);
  next.flush();
  expect((await call()).delivery).toMatchObject({ lost: true });
});

test("who asks whether it is still linked is told so only if its epoch is counted on, and is not linked anew", () => {
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

test("who asks that and does not know what has arrived is not linked any more if nobody does", async () => {
  const { downstream, call } = newsOf();
  const { after } = linked(downstream, 1);
  downstream.append("a\n", 1);
  downstream.flush();
  (await call()).fail();
  await call();
  expect(downstream.link({ from: "home", epoch: 1, still: { last: after } })).toEqual({ after });
  expect(downstream.link({ from: "home", epoch: 1, still: { last: undefined } })).toEqual({ newer: 1 });
});

test("an object that asks for its link says how far it is, if its parent has forgotten that in a crash", async () => {
  const { rows, alarm } = newsOf();
  for (const [last, isThere] of [
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
    expect(answer).toEqual(isThere ? { after: last } : { newer: 1 });
    expect(downstream.vouchFor("home")).toBe(isThere ? 1 : undefined);
  }
});

function linked(downstream: LinkedChannel, epoch: number): { after: number } {
  const answer = downstream.link({ from: "home", epoch });
  if ("after" in answer) return answer;
  throw new Error("not linked");
}
