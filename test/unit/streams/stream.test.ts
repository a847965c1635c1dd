/** Timing of streams, independent of their messages. */
import { expect, test } from "vitest";
import { Budget } from "../../../src/streams/backlog.ts";
import { EventStream } from "../../../src/streams/event-stream.ts";
import { lineStream } from "../../../src/streams/line-stream.ts";
import { openStream, type StreamFormat } from "../../../src/streams/stream.ts";
import { nextPiece } from "../../simulation/streams/pieces.ts";
import { Time } from "../../simulation/streams/time.ts";
import { ObjectEnd, pass, settle } from "./object-end.ts";

const GREETING = "debug!connected...\n";

type Make = (time: Time) => StreamFormat;

const events: Make = (time) => new EventStream(["news", "all"], undefined, undefined, time, 1_000);
const lines: Make = (time) => lineStream(["news"], undefined, time, 1_000);

/** Opens a stream, and a client that reads it unless it is paused. */
async function reading(make: Make) {
  const time = new Time(() => 0);
  const object = new ObjectEnd(time, new Budget({ forOne: 100_000, forAll: 1_000_000 }));
  const opening = openStream(object.connection, make(time), time);
  await object.send(GREETING);
  const stream = await opening;
  if ("code" in stream) throw new Error(stream.why);
  const client = {
    text: "",
    end: "",
    resume: () => {},
    pause: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      mayRead = promise;
      client.resume = resolve;
    },
  };
  let mayRead = Promise.resolve();
  const read = async () => {
    for (let text = await nextPiece(stream); text !== undefined; text = await nextPiece(stream)) {
      client.text += text;
      await mayRead;
    }
    client.end = "ended";
  };
  void read().catch((error: unknown) => {
    client.end = String(error);
  });
  await settle();
  /** Returns the text received since the last call. */
  const got = () => {
    const { text } = client;
    client.text = "";
    return text;
  };
  return { time, object, client, got };
}

const LIVE = "debug!position news 7\ndebug!position all 3\n1\n";

test("a temporarily refused channel is retried on a busy stream", async () => {
  const { time, object, got } = await reading(events);
  expect(object.sent()).toEqual(["subscribe all since now\nping\n"]);
  await object.send("debug!position news 7\ndebug!error unavailable subscribe all: x\n1\n");
  for (let i = 0; i < 10; i++) {
    await object.send("news!busy\n");
    await pass(time, 100);
  }
  await object.send("news!busy\n");
  expect(object.sent()).toEqual(["subscribe all since now\nping\n"]);
  got();
  await object.send("debug!position all 3\n1\nall!at last\n");
  expect(got()).toMatch(/event: all\nid: 18.4\ndata: at last\n/);
});

test("a stream sends a heartbeat every 20 seconds, even while it receives unrelated lines", {
  tags: ["stream-alive", "events-alive"],
}, async () => {
  const { time, object, got } = await reading(events);
  await object.send("debug!position news 7\ndebug!error forbidden subscribe all: x\n1\n");
  got();
  let ticks = "";
  for (let i = 0; i < 62; i++) {
    await object.send("all!nobody asked for this\n");
    await pass(time, 1_000);
    ticks += got();
  }
  expect(ticks).toBe(":\n\n".repeat(3));
});

test("a stream sends `keepalive` to a silent object", async () => {
  for (const make of [events, lines]) {
    const { time, object, client, got } = await reading(make);
    if (make === events) await object.send(LIVE);
    object.sent();
    got();
    for (let i = 0; i < 5; i++) {
      await pass(time, 20_000);
      expect(object.sent()).toEqual(["keepalive\n"]);
      await object.send("debug!alive\n");
      expect(got()).toBe(make === events ? ":\n\n" : "debug!alive\n");
    }
    await pass(time, 29_999);
    expect(client.end).toBe("");
    await pass(time, 1);
    expect(got()).toMatch(/error unavailable connect: the channel's object doesn't answer/);
    expect([client.end, object.isClosed, time.timers]).toEqual(["ended", true, 0]);
  }
});

test("lines received before the object closed the connection are delivered, and its reason", async () => {
  const { object, client, got, time } = await reading(lines);
  client.pause();
  await object.send("news!a\n");
  await object.send("news!b\nnews!c\nnews!unfin");
  await object.end({ code: 1013, reason: "unavailable: messages may be missing; connect again" });
  client.resume();
  await settle();
  const error = "debug!error unavailable connect: messages may be missing; connect again\n";
  expect(got()).toBe(`${GREETING}news!a\nnews!b\nnews!c\n${error}`);
  expect([client.end, time.timers]).toEqual(["ended", 0]);
});

test("a client that reads nothing for a minute is dropped, and so is one with too much pending", async () => {
  const stalled = await reading(lines);
  stalled.client.pause();
  await stalled.object.send("news!a\n");
  await pass(stalled.time, 59_999);
  expect(stalled.object.isClosed).toBe(false);
  await pass(stalled.time, 1);
  const slow = await reading(lines);
  slow.client.pause();
  for (let i = 0; i < 3; i++) await slow.object.send(`news!${"x".repeat(60_000)}\n`);
  for (const { object, client, time } of [stalled, slow]) {
    expect([object.isClosed, time.timers]).toEqual([true, 0]);
    client.resume();
    await settle();
    expect(client.end).toMatch(/too slow/);
  }
});

test("a connection without a greeting is denied: the service is full, it is closed, or the object doesn't answer", async () => {
  const opened = async (happen: (object: ObjectEnd, time: Time) => Promise<void>) => {
    const time = new Time(() => 0);
    const object = new ObjectEnd(time, new Budget({ forOne: 100_000, forAll: 1_000_000 }));
    const opening = openStream(object.connection, lines(time), time);
    await happen(object, time);
    const outcome = await opening;
    expect([object.isClosed, time.timers]).toEqual([true, 0]);
    return outcome;
  };
  expect(await opened((object) => object.send("debug!busy\n"))).toMatchObject({
    code: "unavailable",
    why: expect.stringContaining("connection limit"),
  });
  const reason = "expired: your token has expired";
  expect(await opened((object) => object.end({ code: 1008, reason }))).toEqual({
    code: "expired",
    why: "your token has expired",
  });
  const unanswered = { code: "unavailable", why: expect.stringContaining("doesn't answer") };
  expect(await opened((_, time) => pass(time, 30_000))).toMatchObject(unanswered);
  expect(await opened(async (object) => object.connection.drop())).toMatchObject(unanswered);
  expect(await opened((object) => object.send("debug!con\n"))).toMatchObject(unanswered);
});

test("a greeting may be split", async () => {
  const time = new Time(() => 0);
  const object = new ObjectEnd(time, new Budget({ forOne: 100_000, forAll: 1_000_000 }));
  const opening = openStream(object.connection, lines(time), time);
  for (const piece of ["debug!c", "onnected", "...\nnew"]) await object.send(piece);
  expect(await opening).not.toHaveProperty("code");
});

test("line streams subscribe to more channels within the object's lines per second", async () => {
  const channels = ["news", "a", "b", "c"];
  const { time, object } = await reading((time) => lineStream(channels, { last: 2 }, time, 2));
  expect(object.sent()).toEqual(["subscribe a last 2\nsubscribe b last 2\n"]);
  await pass(time, 1_000);
  expect(object.sent()).toEqual(["subscribe c last 2\n"]);
});

test("a stream of lines is only due while it has channels left to subscribe to", () => {
  const time = new Time(() => 0);
  expect(lineStream(["news"], undefined, time, 1_000).dueAt).toBe(Number.POSITIVE_INFINITY);
  const more = lineStream(["news", "more", "most"], undefined, time, 1);
  expect(more.commands()).toBe("subscribe more\n");
  expect([more.dueAt, more.commands()]).toEqual([time.now() + 1_000, ""]);
  time.pass(1_000);
  expect([more.commands(), more.dueAt]).toEqual(["subscribe most\n", Number.POSITIVE_INFINITY]);
});

test("replies that answer nothing change nothing", async () => {
  const { time, object, got } = await reading(events);
  await object.send(LIVE);
  got();
  await object.send("1\ndebug!error forbidden unsubscribe all: x\ndebug!error forbidden subscribe other: x\nall!m\n");
  expect(got()).toMatch(/event: all\nid: .*\ndata: m\n/);
  object.sent();
  await object.send("debug!error unavailable subscribe all: x\n1\nall!n\n");
  expect(got()).toMatch(/data: n\n/);
  await pass(time, 5_000);
  expect(object.sent().join("")).not.toContain("subscribe");
});
