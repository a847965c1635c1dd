import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { type AlarmState, type DeliveryCall, delivering, fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** The links of the channel `news`, whose calls the test answers one by one. */
function newsOf(rows = new Map<string, unknown>(), maxBuffered = 1_000, alarm: AlarmState = { time: 5 }) {
  const calls: DeliveryCall[] = [];
  const runtime = fakeRuntime("news", rows, delivering(calls), alarm);
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
    await settled();
    const [next] = calls.splice(0, 1);
    if (!next) throw new Error("no call");
    return next;
  };
  const deliver = (line: string) => {
    downstream.append(`${line}\n`, 1);
    downstream.flush();
    return call();
  };
  return { downstream, call, deliver, rows, alarm };
}

test("messages during a call share the next one", async () => {
  const { downstream, call, deliver } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  const first = await deliver("a");
  downstream.append("b\n", 1);
  downstream.append("c\nd\n", 2);
  downstream.flush();
  first.answer({ gone: false });
  const second = await call();
  expect(first.delivery).toMatchObject({ count: 1, lines: "a\n" });
  expect(second.delivery).toMatchObject({ after: first.delivery.after + 1, count: 3, lines: "b\nc\nd\n" });
});

test("a failed call is repeated from the same position, and marked as a repetition", async () => {
  const { downstream, call, deliver } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  const first = await deliver("a");
  first.fail();
  const second = await call();
  expect(first.delivery.again).toBe(false);
  const number = Number(first.delivery.number) + 1;
  expect(second.delivery).toEqual({ ...first.delivery, number, again: true });
  second.answer({ gone: false });
});

test("a delivery with an outdated number is sent again with a newer one", async () => {
  const { downstream, call, deliver } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  const first = await deliver("a");
  first.answer({ gone: false, newer: 1_000_000 });
  await Promise.resolve();
  downstream.flush();
  const second = await call();
  expect(second.delivery).toEqual({ ...first.delivery, number: 1_000_001 });
  second.answer({ gone: false });
});

test("a link to an unreachable object is lost, which is stored, and reported once the object is reachable", async () => {
  const { downstream, call, deliver, rows } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  (await deliver("a")).fail();
  for (let attempt = 1; attempt < 5; attempt++) (await call()).fail();
  const notice = await call();
  expect(notice.delivery).toMatchObject({ lost: true, count: 0, lines: "" });
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 100 });
});

test("a link that ends during its last attempt leaves no rows", async () => {
  const { downstream, call, deliver, rows } = newsOf();
  downstream.link({ from: "home", epoch: 1 });
  (await deliver("a")).fail();
  for (let attempt = 1; attempt < 4; attempt++) (await call()).fail();
  const last = await call();
  downstream.unlink({ from: "home", epoch: 1 });
  last.fail();
  await new Promise(setImmediate);
  expect(rows).toEqual(new Map());
});

test("a link that is too far behind is lost, and the others are not", { tags: ["link-buffer"] }, async () => {
  const { downstream, call, deliver, rows } = newsOf(new Map(), 40);
  downstream.link({ from: "slow", epoch: 1 });
  downstream.link({ from: "quick", epoch: 1 });
  const slow = await deliver("0123456");
  expect(slow.object).toBe("slow");
  let quick = await call();
  for (let message = 1; message <= 8; message++) {
    expect(quick).toMatchObject({ object: "quick", delivery: { count: 1, lost: false } });
    quick.answer({ gone: false });
    quick = await deliver("0123456");
  }
  expect(rows.get("downstream:slow")).toEqual({ epoch: 1, lostAt: 100 });
  expect(rows.get("downstream:quick")).toEqual({ epoch: 1, lostAt: undefined });
  slow.answer({ gone: false });
  for (const next of [quick, await call()]) {
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
  const { after } = linked(downstream);
  expect(downstream.link({ from: "home", epoch: 1, still })).toEqual({ after });
  expect(downstream.vouchFor("home")).toBe(1);
  downstream.append("a\n", 1);
  const { downstream: crashed } = newsOf(new Map(rows), undefined, alarm);
  expect(crashed.vouchFor("home")).toBeUndefined();
  expect(crashed.link({ from: "home", epoch: 1, still })).toEqual({ newer: 1 });
});

test("an object that asks for its link without a position loses it if a delivery may have been received", async () => {
  const { downstream, call, deliver } = newsOf();
  const { after } = linked(downstream);
  (await deliver("a")).fail();
  await call();
  expect(downstream.link({ from: "home", epoch: 1, still: { last: after } })).toEqual({ after });
  expect(downstream.link({ from: "home", epoch: 1, still: { last: undefined } })).toEqual({ newer: 1 });
});

test("an object that restarts during a delivery is asked what it has: the answer may be from before", async () => {
  const { downstream, call, deliver } = newsOf();
  const { after } = linked(downstream);
  const first = await deliver("a");
  const still = { last: undefined, restarted: true };
  expect(downstream.link({ from: "home", epoch: 1, still })).toEqual({ after });
  first.answer({ gone: false });
  const question = await call();
  expect(question.delivery).toMatchObject({ where: true, count: 0 });
  question.answer({ gone: false, last: after });
  const repeated = await call();
  expect(repeated.delivery).toMatchObject({ after, count: 1, lines: "a\n", lost: false });
  repeated.answer({ gone: false });
  await settled();
  expect(downstream.vouchFor("home")).toBe(1);
});

test("an object that has hibernated isn't asked: its clients may have the messages whose answer is under way", async () => {
  const { downstream, call, deliver } = newsOf();
  const { after } = linked(downstream);
  const first = await deliver("a");
  const still = { last: undefined, restarted: false };
  expect(downstream.link({ from: "home", epoch: 1, still })).toEqual({ after });
  first.answer({ gone: false });
  await settled();
  const second = await deliver("b");
  expect(second.delivery).toMatchObject({ after: after + 1, again: false, where: false, lines: "b\n" });
  second.answer({ gone: false });
  await expect(call()).rejects.toThrow("no call");
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

function linked(downstream: LinkedChannel): { after: number } {
  const answer = downstream.link({ from: "home", epoch: 1 });
  if ("after" in answer) return answer;
  throw new Error("not linked");
}
