/** Answers to polls. */
import { expect, test } from "vitest";
import { SERVICE_FULL } from "../../../src/protocol/refusals.ts";
import { Budget } from "../../../src/streams/backlog.ts";
import { poll } from "../../../src/streams/poll.ts";
import { Time } from "../../simulation/streams/time.ts";
import { ObjectEnd, pass, settle } from "./object-end.ts";

const GREETING = "debug!connected...\n";

/** Starts a poll of `news` with an object that sends the greeting. */
async function polling(forOne = 5_000_000, greeting = GREETING) {
  const time = new Time(() => 0);
  const budget = new Budget({ forOne, forAll: 100_000_000 });
  const object = new ObjectEnd(time, budget);
  /** The answer; undefined while it is pending. */
  let answer: unknown;
  void poll(object.connection, "news", time, budget).then((polled) => {
    if ("code" in polled) answer = polled;
    else {
      let lines = "";
      for (let piece = polled.lines.take(0); piece !== ""; piece = polled.lines.take(0)) lines += piece;
      answer = { lines, position: polled.position };
    }
  });
  await object.send(greeting);
  return { time, budget, object, answer: () => answer };
}

test("an answer ends at the reply to `ping`", async () => {
  const { object, answer, budget } = await polling();
  expect(object.sent()).toEqual(["ping\n"]);
  await object.send("debug!position news 7\nnews!a\n");
  expect(answer()).toBeUndefined();
  await object.send("all!x\nnews!b\n1795438800\nnews!c\nnews!d\n");
  expect(answer()).toEqual({ lines: "news!a\nnews!b\n", position: 9 });
  expect([object.isClosed, budget.size]).toEqual([true, 0]);
});

test("a message that looks like a reply is a message", async () => {
  const { object, answer } = await polling();
  await object.send("debug!position news 7\nnews!1795438800\nnews!1\r2\nall!3\nne");
  await object.send("ws!4");
  await object.send("\n");
  expect(answer()).toBeUndefined();
  await object.send("5\n");
  expect(answer()).toEqual({ lines: "news!1795438800\nnews!1\r2\nnews!4\n", position: 10 });
});

test("gaps are part of an answer, and positions of other channels aren't", async () => {
  const { object, answer } = await polling();
  await object.send("debug!gap news 1 7\ndebug!position news 7\nnews!a\ndebug!position all 99\n");
  await object.send("debug!gap all 99 100\ndebug!gap news 8 9\ndebug!position news 9\nnews!b\n5\n");
  const lines = "debug!gap news 1 7\nnews!a\ndebug!gap news 8 9\nnews!b\n";
  expect(answer()).toEqual({ lines, position: 10 });
});

test("an answer that would be too long ends earlier, and the next poll continues", {
  tags: ["poll-size"],
}, async () => {
  const { object, answer, budget } = await polling(1_000);
  const line = `news!${"x".repeat(94)}\n`;
  await object.send("debug!position news 7\n");
  for (let i = 0; i < 3; i++) await object.send(line);
  expect(answer()).toEqual({ lines: line.repeat(2), position: 9 });
  expect([object.isClosed, budget.size]).toEqual([true, 0]);
});

test("if an object doesn't answer in time, the messages received so far are the answer", async () => {
  const silent = await polling();
  await silent.object.send("debug!position news 7\n");
  await pass(silent.time, 29_999);
  expect(silent.answer()).toBeUndefined();
  await pass(silent.time, 1);
  expect(silent.answer()).toMatchObject({ code: "unavailable" });
  const busy = await polling();
  await busy.object.send("debug!position news 7\n");
  for (let i = 0; i < 30; i++) {
    await busy.object.send("news!a\n");
    await pass(busy.time, 1_000);
  }
  expect(busy.answer()).toEqual({ lines: "news!a\n".repeat(30), position: 37 });
  for (const { object, time } of [silent, busy]) expect([object.isClosed, time.timers]).toEqual([true, 0]);
});

test("so they are if its connection ends", async () => {
  const lost = await polling();
  await lost.object.send("debug!position news 7\nnews!a\nnews!b");
  await lost.object.end({ code: 1006, reason: "" });
  expect(lost.answer()).toEqual({ lines: "news!a\n", position: 8 });
  const closed = await polling();
  await closed.object.end({ code: 1008, reason: "expired: your token has expired" });
  expect(closed.answer()).toEqual({ code: "expired", why: "your token has expired" });
});

test.each(["no-history", "forbidden", "rate", "limit"])("a poll is refused as %s if its channel is", async (code) => {
  const { object, answer } = await polling();
  await object.send(`debug!error ${code} announce news: x\ndebug!error ${code} subscribe all: x\n`);
  expect(answer()).toBeUndefined();
  await object.send(`debug!error ${code} subscribe news: because\nnews!a\n`);
  expect(answer()).toMatchObject({ code, why: "because" });
  expect(object.isClosed).toBe(true);
});

test("a client that disconnects leaves nothing behind", async () => {
  const { object, answer, budget, time } = await polling();
  await object.send("debug!position news 7\nnews!a\n");
  object.connection.drop();
  await settle();
  expect(answer()).toEqual({ lines: "news!a\n", position: 8 });
  expect([object.isClosed, budget.size, time.timers]).toEqual([true, 0, 0]);
});

test("a poll is refused if the object refuses the connection", async () => {
  const { object, answer } = await polling(5_000_000, "debug!busy\n");
  expect(answer()).toMatchObject({ code: "unavailable", why: SERVICE_FULL });
  expect([object.isClosed, object.sent()]).toEqual([true, []]);
});

test("messages before the position aren't part of an answer", async () => {
  const { object, answer } = await polling();
  await object.send("news!early\ndebug!position news 7\nnews!a\n5\n");
  expect(answer()).toEqual({ lines: "news!a\n", position: 8 });
});

test("an answer is complete at once if all of its pieces are there", async () => {
  const { object, answer } = await polling();
  const line = `news!${"x".repeat(50_000)}\n`;
  object.connection.received(`debug!position news 7\n${line}`);
  object.connection.received(line);
  await object.send("5\n");
  expect(answer()).toEqual({ lines: line + line, position: 9 });
});

test.each(["takeNow", "mustWait"] as const)(
  "a reader that made room for another one learns it from %s",
  async (method) => {
    const time = new Time(() => 0);
    const budget = new Budget({ forOne: 1_000, forAll: 1_500 });
    const [large, small] = [new ObjectEnd(time, budget), new ObjectEnd(time, budget)];
    await large.send(`${"x".repeat(900)}\n`);
    await small.send(`${"x".repeat(800)}\n`);
    expect(large.connection.isTooSlow).toBe(false);
    expect(large.connection[method](time.now() + 1)).toBe(method === "takeNow" ? "" : false);
    expect([large.connection.isTooSlow, large.isClosed]).toEqual([true, true]);
    expect(small.connection.takeNow()).toBe(`${"x".repeat(800)}\n`);
  },
);
