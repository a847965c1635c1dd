/** What a poll is answered with. */
import { expect, test } from "vitest";
import { Budget } from "../../../src/streams/backlog.ts";
import { poll } from "../../../src/streams/poll.ts";
import { Time } from "../../simulation/streams/time.ts";
import { ObjectEnd, pass, settle } from "./object-end.ts";

const GREETING = "debug!connected...\n";

/** A poll of `news` that the object has greeted. */
async function polling(forOne = 5_000_000) {
  const time = new Time(() => 0);
  const budget = new Budget({ forOne, forAll: 100_000_000 });
  const object = new ObjectEnd(time, budget);
  /** The answer as a client gets it; undefined while there is none. */
  let answer: unknown;
  void poll(object.connection, "news", time, budget).then((polled) => {
    if ("code" in polled) answer = polled;
    else {
      let lines = "";
      for (let piece = polled.lines.take(0); piece !== ""; piece = polled.lines.take(0)) lines += piece;
      answer = { lines, position: polled.position };
    }
  });
  await object.say(GREETING);
  return { time, budget, object, answer: () => answer };
}

test("an answer ends at the reply to `ping`, wherever that is among the lines", async () => {
  const { object, answer, budget } = await polling();
  expect(object.sent()).toEqual(["ping\n"]);
  await object.say("debug!position news 7\nnews!a\n");
  expect(answer()).toBeUndefined();
  await object.say("all!x\nnews!b\n1795438800\nnews!c\nnews!d\n");
  expect(answer()).toEqual({ lines: "news!a\nnews!b\n", position: 9 });
  expect([object.isClosed, budget.size]).toEqual([true, 0]);
});

test("a message that looks like a reply is a message", async () => {
  const { object, answer } = await polling();
  await object.say("debug!position news 7\nnews!1795438800\nnews!1\r2\nall!3\nne");
  await object.say("ws!4");
  await object.say("\n");
  expect(answer()).toBeUndefined();
  await object.say("5\n");
  expect(answer()).toEqual({ lines: "news!1795438800\nnews!1\r2\nnews!4\n", position: 10 });
});

test("gaps are part of an answer, and positions of other channels are not", async () => {
  const { object, answer } = await polling();
  await object.say("debug!gap news 1 7\ndebug!position news 7\nnews!a\ndebug!position all 99\n");
  await object.say("debug!gap all 99 100\ndebug!gap news 8 9\ndebug!position news 9\nnews!b\n5\n");
  const lines = "debug!gap news 1 7\nnews!a\ndebug!gap news 8 9\nnews!b\n";
  expect(answer()).toEqual({ lines, position: 10 });
});

test("an answer that would be too long ends earlier, and can be gone on from", async () => {
  const { object, answer, budget } = await polling(1_000);
  const line = `news!${"x".repeat(94)}\n`;
  await object.say("debug!position news 7\n");
  for (let i = 0; i < 3; i++) await object.say(line);
  expect(answer()).toEqual({ lines: line.repeat(2), position: 9 });
  expect([object.isClosed, budget.size]).toEqual([true, 0]);
});

test("an object that does not answer in time leaves what it has sent, if that is anything", async () => {
  const silent = await polling();
  await silent.object.say("debug!position news 7\n");
  await pass(silent.time, 29_999);
  expect(silent.answer()).toBeUndefined();
  await pass(silent.time, 1);
  expect(silent.answer()).toMatchObject({ code: "unavailable" });
  const busy = await polling();
  await busy.object.say("debug!position news 7\n");
  for (let i = 0; i < 30; i++) {
    await busy.object.say("news!a\n");
    await pass(busy.time, 1_000);
  }
  expect(busy.answer()).toEqual({ lines: "news!a\n".repeat(30), position: 37 });
  for (const { object, time } of [silent, busy]) expect([object.isClosed, time.timers]).toEqual([true, 0]);
});

test("so does one whose connection ends", async () => {
  const lost = await polling();
  await lost.object.say("debug!position news 7\nnews!a\nnews!b");
  await lost.object.end({ code: 1006, reason: "" });
  expect(lost.answer()).toEqual({ lines: "news!a\n", position: 8 });
  const closed = await polling();
  await closed.object.end({ code: 1008, reason: "expired: your token has expired" });
  expect(closed.answer()).toEqual({ code: "expired", why: "your token has expired" });
});

test.each(["no-history", "forbidden", "rate", "limit"])(
  "a poll is refused as %s, as its channel is",
  async (code) => {
    const { object, answer } = await polling();
    await object.say(`debug!error ${code} announce news: x\ndebug!error ${code} subscribe all: x\n`);
    expect(answer()).toBeUndefined();
    await object.say(`debug!error ${code} subscribe news: because\nnews!a\n`);
    expect(answer()).toMatchObject({ code, why: "because" });
    expect(object.isClosed).toBe(true);
  },
);

test("a client that leaves leaves nothing behind", async () => {
  const { object, answer, budget, time } = await polling();
  await object.say("debug!position news 7\nnews!a\n");
  object.connection.drop();
  await settle();
  expect(answer()).toBeDefined();
  expect([object.isClosed, budget.size, time.timers]).toEqual([true, 0, 0]);
});
