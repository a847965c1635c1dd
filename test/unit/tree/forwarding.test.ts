/** Announcements that are forwarded to the roots of other channels. */
import { expect, test } from "vitest";
import type { Batch, BatchAnswer } from "../../../src/runtime/calls.ts";
import { batchNumbers, Forwarding, KeyConflict, QueueFull } from "../../../src/tree/forwarding.ts";
import { settled } from "../settled.ts";
import { fakeRuntime } from "./fake-runtime.ts";

interface Call {
  channel: string;
  batch: Batch;
  answer: (answer: BatchAnswer) => void;
  fail: (cause: Error) => void;
}

/** Announcements of the object `home`, whose calls the test answers. */
function forwarding(maxBuffered = 20) {
  const arrived: { position: number | undefined; regressed: string[] } = {
    position: undefined,
    regressed: [],
  };
  const calls: Call[] = [];
  const outcomes: Record<string, unknown> = {};
  const runtime = fakeRuntime("home", new Map(), {
    forward: (channel, batch) => new Promise((answer, fail) => void calls.push({ channel, batch, answer, fail })),
  });
  const announcements = new Forwarding(runtime, maxBuffered, {
    arrived: () => arrived.position,
    abandon: (channel) => void arrived.regressed.push(channel),
  });
  /** Announces lines, and records their position or error under their text. */
  const announce = (lines: string, channel = "news", key?: string) => {
    const record = (outcome: unknown) => {
      outcomes[lines.trim()] = outcome;
    };
    announcements.forward(channel, lines, lines.split("\n").length - 1, key).then(record, record);
  };
  const next = async () => {
    await settled();
    const [call] = calls.splice(0, 1);
    if (!call) throw new Error("no call");
    return call;
  };
  return { announce, next, calls, outcomes, arrived };
}

test("announcements in the same turn share a call, and each gets its own last position", async () => {
  const { announce, next, calls, outcomes } = forwarding();
  for (const lines of ["a\n", "b\nc\n", "d\n"]) announce(lines);
  const { batch, answer } = await next();
  expect(batch).toEqual({ from: "home", number: 100, lines: "a\nb\nc\nd\n", count: 4 });
  answer({ before: 0, last: 54 });
  await settled();
  expect({ outcomes, calls }).toEqual({ outcomes: { a: 51, "b\nc": 53, d: 54 }, calls: [] });
});

test("a message whose key was used for another one is rejected, and its neighbors are announced", async () => {
  const { announce, next, outcomes } = forwarding();
  for (const [i, line] of ["a\n", "b\n", "c\n"].entries()) announce(line, "news", `k${i}`);
  (await next()).answer({ before: 6, positions: [7, undefined, 8] });
  await settled();
  expect(outcomes).toEqual({ a: 7, b: expect.any(KeyConflict), c: 8 });
});

test("messages with keys share a call, and each gets its position; messages without keys get another call", async () => {
  const { announce, next, outcomes } = forwarding();
  announce("a\n", "news", "k1");
  announce("b\n", "news", "k2");
  announce("c\n");
  announce("d\n", "news", "k3");
  const first = await next();
  expect(first.batch).toEqual({ from: "home", number: 100, lines: "a\nb\n", count: 2, keys: ["k1", "k2"] });
  first.answer({ before: 50, positions: [7, 51] });
  const second = await next();
  expect(second.batch).toEqual({ from: "home", number: 101, lines: "c\n", count: 1 });
  second.answer({ before: 0, last: 52 });
  (await next()).answer({ before: 52, positions: [53] });
  await settled();
  expect(outcomes).toEqual({ a: 7, b: 51, c: 52, d: 53 });
});

test("a root whose newest position is lower than one that has arrived here has lost positions", async () => {
  const { announce, next, arrived } = forwarding();
  arrived.position = 50;
  announce("a\n");
  const first = await next();
  // Messages that arrive during the call don't count.
  arrived.position = 60;
  first.answer({ before: 50, last: 51 });
  announce("b\n", "news", "k");
  (await next()).answer({ before: 60, positions: [7] });
  announce("c\n", "news", "k");
  const last = await next();
  expect(arrived.regressed).toEqual([]);
  last.answer({ before: 59, positions: [60] });
  await settled();
  expect(arrived.regressed).toEqual(["news"]);
});

test("each channel has one call in flight, and channels don't wait for each other", async () => {
  const { announce, next, calls } = forwarding();
  announce("a\n");
  announce("x\n", "other");
  const first = await next();
  expect(await next()).toMatchObject({ channel: "other", batch: { lines: "x\n" } });
  announce("b\n");
  announce("c\n");
  await settled();
  expect(calls).toEqual([]);
  first.answer({ before: 0, last: 51 });
  const second = await next();
  expect(second).toMatchObject({ channel: "news", batch: { lines: "b\nc\n", count: 2 } });
  expect(second.batch.number).toBeGreaterThan(first.batch.number);
});

test("a failed call isn't repeated, and only its own announcements fail", async () => {
  const { announce, next, outcomes } = forwarding();
  const cause = new Error("lost");
  announce("a\n");
  announce("b\n");
  const failing = await next();
  announce("c\n");
  failing.fail(cause);
  const { batch, answer } = await next();
  expect({ outcomes, lines: batch.lines }).toEqual({ outcomes: { a: cause, b: cause }, lines: "c\n" });
  answer({ before: 0, last: 60 });
  await settled();
  expect(outcomes).toEqual({ a: cause, b: cause, c: 60 });
});

test("a batch with an outdated number is sent again with a newer one", async () => {
  const { announce, next, outcomes } = forwarding();
  announce("a\n");
  (await next()).answer({ newer: 5_000 });
  const again = await next();
  expect(again.batch).toMatchObject({ number: 5_001, lines: "a\n" });
  again.answer({ before: 0, last: 51 });
  await settled();
  expect(outcomes).toEqual({ a: 51 });
  announce("b\n");
  expect((await next()).batch.number).toBe(5_002);
});

test("a channel has a limit for pending announcements, except for a single one, and answers free it", async () => {
  const { announce, next, outcomes } = forwarding();
  const long = `${"x".repeat(30)}\n`;
  announce(long);
  announce("a\n");
  const first = await next();
  expect(first.batch.lines).toBe(long);
  expect(outcomes).toEqual({ a: expect.any(QueueFull) });
  // Announcements in flight count until they are answered.
  announce("b\n");
  await settled();
  expect(outcomes).toMatchObject({ b: expect.any(QueueFull) });
  first.answer({ before: 0, last: 51 });
  await settled();
  for (const lines of ["0123456789\n", "01234567\n", "c\n"]) announce(lines);
  expect((await next()).batch.lines).toBe("0123456789\n01234567\n");
  expect(outcomes).toMatchObject({ c: expect.any(QueueFull) });
});

test("batches of an object are accepted only in order", () => {
  const numbers = batchNumbers();
  const outdatedBy = (from: string, number: number) => numbers({ from, number, lines: "", count: 0 });
  expect(outdatedBy("home", 100)).toBeUndefined();
  for (const number of [99, 100]) expect(outdatedBy("home", number)).toBe(100);
  expect(outdatedBy("other", 1)).toBeUndefined();
  expect(outdatedBy("home", 101)).toBeUndefined();
  expect(outdatedBy("home", 100)).toBe(101);
});

test("the newest batches of ten thousand objects are remembered", () => {
  const numbers = batchNumbers();
  const outdatedBy = (from: number, number: number) => numbers({ from: `home${from}`, number, lines: "", count: 0 });
  for (let from = 0; from < 10_000; from++) outdatedBy(from, 100);
  expect(outdatedBy(0, 99)).toBe(100);
  expect(outdatedBy(10_000, 99)).toBeUndefined();
  expect(outdatedBy(0, 99)).toBeUndefined();
});

test("all channels share a limit for pending announcements, and answers free it", {
  tags: ["forwarding-total"],
}, async () => {
  const { announce, next, outcomes } = forwarding(4_000_000);
  const long = (letter: string) => `${letter.repeat(3_999_999)}\n`;
  for (const [i, letter] of ["a", "b"].entries()) announce(long(letter), `channel${i}`);
  announce(`c${"x".repeat(1_000_000)}\n`, "channel2");
  await settled();
  expect(Object.values(outcomes)).toEqual([expect.any(QueueFull)]);
  (await next()).answer({ before: 0, last: 1 });
  await settled();
  announce("d\n", "channel2");
  for (let i = 0; i < 2; i++) (await next()).answer({ before: 0, last: 7 });
  await settled();
  expect(outcomes.d).toBe(7);
});

test("an announcement that is longer than the whole limit is sent if no other is pending", async () => {
  const { announce, next, outcomes } = forwarding(4_000_000);
  announce(`a${"x".repeat(9_500_000)}\n`);
  (await next()).answer({ before: 0, last: 1 });
  await settled();
  expect(Object.values(outcomes)).toEqual([1]);
});

test("channels whose roots don't answer leave room for others", async () => {
  const { announce, next, outcomes } = forwarding(4_000_000);
  let sent = 0;
  const part = () => `${sent++} ${"x".repeat(64_000)}\n`;
  for (let channel = 0; channel < 5; channel++) {
    for (let i = 0; i < 100; i++) announce(part(), `channel${channel}`);
    await settled();
  }
  const settledBefore = Object.keys(outcomes).length;
  expect(settledBefore).toBeGreaterThan(100);
  announce(part(), "other");
  await settled();
  expect(Object.keys(outcomes)).toHaveLength(settledBefore);
  for (let channel = 0; channel < 5; channel++) expect((await next()).batch.lines.length).toBeLessThan(1_200_000);
});
