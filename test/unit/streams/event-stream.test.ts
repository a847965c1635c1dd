/** Events rendered from an object's lines, and the commands sent to the object. */
import { expect, test } from "vitest";
import type { Positions } from "../../../src/protocol/events.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { EventStream } from "../../../src/streams/event-stream.ts";
import { Time } from "../../simulation/streams/time.ts";

/** Makes a stream and its clock. Delays are as short as possible. */
function streamOf(channels: string[], resumed?: Positions, from?: From, linesPerSecond = 1_000) {
  const time = new Time(() => 0);
  const stream = new EventStream(channels, resumed, from, time, linesPerSecond);
  /** Advances to the next due commands; returns them, and the delay in milliseconds. */
  const next = (): [milliseconds: number, commands: string] => {
    const pause = Math.max(0, stream.dueAt - time.now());
    time.pass(pause);
    return [pause, stream.commands()];
  };
  return { stream, time, next };
}

/** Returns names, ids and data of events in a short form. */
function inShort(events: string): string[] {
  return events
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => block.replace(/^event: (.*)\nid: (.*)\ndata: /, "$1 [$2] "));
}

test("a new stream requests its positions, and counts from there", () => {
  const { stream, next } = streamOf(["news", "all"]);
  expect([stream.from, next()]).toEqual([{ since: "now" }, [0, "subscribe all since now\nping\n"]]);
  // Messages before the position were announced before the stream started.
  expect(inShort(stream.render("debug!connected...\nall!early\ndebug!position news 7\n"))).toHaveLength(2);
  expect(inShort(stream.render("debug!position all 3\nnews!a\nall!b\n1795438800\nnews!c\n"))).toEqual([
    "debug [7.3] position all 3",
    "news [8.3] a",
    "all [8.4] b",
    "news [9.4] c",
  ]);
  expect([stream.dueAt, stream.commands()]).toEqual([Number.POSITIVE_INFINITY, ""]);
});

test("a message that looks like a reply is a message", () => {
  const { stream } = streamOf(["a", "all"]);
  stream.commands();
  stream.render("debug!position a 7\ndebug!position all 3\n1\n");
  const texts = ["1795438800", "debug!position a 99", "a!b", "!", "resumed complete"];
  expect(inShort(stream.render(texts.map((text) => `a!${text}\n`).join("")))).toEqual(
    texts.map((text, i) => `a [${8 + i}.3] ${text}`),
  );
});

test("a resumed stream reports when all missed messages are delivered, and whether some have expired", () => {
  const complete = streamOf(["news", "all"], [7, 3]);
  expect([complete.stream.from, complete.next()]).toEqual([
    { since: 7 },
    [0, "unsubscribe all\nping\nsubscribe all since 3\nping\n"],
  ]);
  complete.stream.render("debug!connected...\ndebug!position news 7\nnews!a\n1\ndebug!position all 3\n");
  expect(inShort(complete.stream.render("1\n"))).toEqual(["debug [8.3] resumed complete"]);
  expect(complete.stream.render("1\n1\n")).toBe("");
  const gap = streamOf(["news", "all"], [7, 3]);
  gap.stream.commands();
  gap.stream.render("debug!gap news 7 9\ndebug!position news 9\n1\ndebug!position all 3\n");
  expect(inShort(gap.stream.render("1\n"))).toEqual(["debug [9.3] resumed gap"]);
  const unknown = streamOf(["all"], [undefined]);
  unknown.stream.commands();
  expect(inShort(unknown.stream.render("debug!position all 3\n1\n")).at(-1)).toBe("debug [3] resumed gap");
});

test("a stream that is resumed before its first position starts where it was to start", () => {
  expect(streamOf(["news", "all"], [undefined, undefined], { since: 5 }).stream.from).toEqual({ since: 5 });
  expect(streamOf(["news", "all"], [undefined, 3], { last: 20 }).stream.from).toEqual({ last: 20 });
  expect(streamOf(["news", "all"], [8, 3], { since: 5 }).stream.from).toEqual({ since: 8 });
});

test("replies about an earlier subscription aren't part of the stream", () => {
  const { stream } = streamOf(["news", "all"], [7, 3]);
  stream.commands();
  expect(stream.render("all!5\ndebug!position all 5\nall!6\ndebug!gap all 6 8\n1\n")).toBe("");
  expect(inShort(stream.render("debug!position all 3\nall!4\n"))).toEqual([
    "debug [7.3] position all 3",
    "all [7.4] 4",
  ]);
});

test("positions are accepted at any time", () => {
  const { stream } = streamOf(["news", "all"]);
  stream.commands();
  stream.render("debug!position news 7\ndebug!position all 3\n1\nnews!a\n");
  expect(inShort(stream.render("debug!gap news 8 20\ndebug!position news 20\nnews!b\n"))).toEqual([
    "debug [8.3] gap news 8 20",
    "debug [20.3] position news 20",
    "news [21.3] b",
  ]);
  expect(stream.render("debug!position sport 5\n")).toBe("");
});

test("temporarily refused channels are retried at their positions with backoff", () => {
  const { stream, next } = streamOf(["news", "art", "all"], [7, 5, 3]);
  expect(next()[1]).toBe("unsubscribe all\nping\nsubscribe art since 5\nsubscribe all since 3\nping\n");
  stream.render("debug!position news 7\n1\ndebug!error rate subscribe art: x\n");
  stream.render("debug!error unavailable subscribe all: x\n");
  expect(inShort(stream.render("1\nnews!a\nall!b\n"))).toEqual(["news [8.5.3] a"]);
  expect(next()).toEqual([
    1_000,
    "unsubscribe art\nunsubscribe all\nping\nsubscribe art since 5\nsubscribe all since 3\nping\n",
  ]);
  const refusal = "1\ndebug!position art 5\ndebug!error unavailable subscribe all: x\n1\n";
  expect(inShort(stream.render(refusal))).toHaveLength(2);
  const again = "unsubscribe all\nping\nsubscribe all since 3\nping\n";
  for (const pause of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    expect(next()).toEqual([pause, again]);
    expect(stream.commands()).toBe("");
    stream.render("1\ndebug!error unavailable subscribe all: x\n1\n");
  }
  next();
  expect(inShort(stream.render("1\ndebug!position all 3\nall!b\n1\n"))).toEqual([
    "debug [8.5.3] position all 3",
    "all [8.5.4] b",
    "debug [8.5.4] resumed complete",
  ]);
  expect(stream.dueAt).toBe(Number.POSITIVE_INFINITY);
});

test("the connection's own channel is retried too", () => {
  const { stream, next } = streamOf(["news", "all"], undefined, { last: 5 });
  next();
  stream.render("debug!error unavailable subscribe news: x\ndebug!position all 3\n1\n");
  expect(stream.render("news!nobody asked for this\n")).toBe("");
  expect(next()).toEqual([1_000, "unsubscribe news\nping\nsubscribe news last 5\nping\n"]);
});

test.each(["invalid", "forbidden", "expired", "revoked", "limit", "uncertain", "conflict", "overcast"])(
  "a channel that is refused as %s isn't retried, and the others continue",
  (code) => {
    const { stream, next } = streamOf(["news", "art", "all"], [7, 5, 3]);
    next();
    const events = stream.render(`debug!position news 7\n1\ndebug!error ${code} subscribe art: x\n`);
    expect(inShort(events).at(-1)).toBe(`debug [7.5.3] error ${code} subscribe art: x`);
    expect(inShort(stream.render("debug!position all 3\n1\n")).at(-1)).toBe("debug [7.5.3] resumed gap");
    expect(stream.dueAt).toBe(Number.POSITIVE_INFINITY);
    expect(inShort(stream.render("news!a\nart!b\n"))).toEqual(["news [8.5.3] a"]);
  },
);

test("on channels without history, messages have no position", () => {
  const { stream, next } = streamOf(["news", "all"], [7, 3]);
  next();
  stream.render("debug!error no-history subscribe news: this channel retains no messages\n1\n");
  expect(inShort(stream.render("debug!position all 3\n1\nnews!a\n")).slice(1)).toEqual([
    "debug [-.3] resumed gap",
    "news [-.3] a",
  ]);
});

test("a channel without a reply is retried", () => {
  const { stream, next } = streamOf(["news", "art", "all"]);
  next();
  stream.render("debug!position news 7\ndebug!position all 3\n1\n");
  expect(next()).toEqual([1_000, "subscribe art since now\nping\n"]);
});

test("refusals of other commands and channels are ignored", () => {
  const { stream, next } = streamOf(["news", "all"]);
  next();
  stream.render("debug!position news 7\ndebug!error forbidden announce all: x\n");
  stream.render("debug!error forbidden subscribe sport: x\ndebug!error forbidden subscribe news: x\n");
  expect(inShort(stream.render("debug!position all 3\n1\nnews!a\nall!b\n")).slice(1)).toEqual([
    "news [8.3] a",
    "all [8.4] b",
  ]);
});

test("a refused `ping` counts as a reply", () => {
  const { stream, next } = streamOf(["news", "all"], [7, 3]);
  next();
  stream.render("debug!position news 7\ndebug!error rate unsubscribe all: x\ndebug!error rate ping: x\n");
  stream.render("debug!error rate subscribe all: x\ndebug!error rate ping: x\n");
  expect(next()).toEqual([1_000, "unsubscribe all\nping\nsubscribe all since 3\nping\n"]);
});

test("commands stay within the object's lines per second", () => {
  const { stream, next } = streamOf(["a", "b", "c", "d", "all"], undefined, undefined, 6);
  expect(next()).toEqual([0, "subscribe b since now\nsubscribe c since now\nping\n"]);
  stream.render("debug!position a 1\ndebug!position b 1\ndebug!position c 1\n1\n");
  expect(next()).toEqual([1_000, "subscribe d since now\nsubscribe all since now\nping\n"]);
});

test("an object that executes no commands ends the stream, and a slow one doesn't", () => {
  const { stream, time, next } = streamOf(["news", "art", "all"]);
  next();
  time.pass(119_000);
  expect(stream.fault).toBeUndefined();
  stream.render("debug!position news 7\n");
  time.pass(119_000);
  expect(stream.fault).toBeUndefined();
  time.pass(1_000);
  expect(stream.fault).toMatchObject({ code: "unavailable" });
});

test("streams that share what they render count their own positions", () => {
  /** A stream of two channels that is live at these positions. */
  const live = (channel: string, position: number, all: number) => {
    const { stream } = streamOf([channel, "all"]);
    stream.commands();
    stream.render(`debug!position ${channel} ${position}\ndebug!position all ${all}\n1\n`);
    return stream;
  };
  const streams = [live("news", 7, 3), live("news", 7, 3), live("news", 8, 3), live("art", 7, 3)];
  const render = (lines: string) => streams.map((stream) => inShort(stream.render(lines)));
  expect(render("news!a\nall!b\n")).toEqual([
    ["news [8.3] a", "all [8.4] b"],
    ["news [8.3] a", "all [8.4] b"],
    ["news [9.3] a", "all [9.4] b"],
    ["all [7.4] b"],
  ]);
  // The second stream receives the same messages in other frames, and a new position.
  expect(inShort(streams[1]?.render("news!c\n") ?? "")).toEqual(["news [9.4] c"]);
  expect(inShort(streams[0]?.render("news!c\nnews!d\n") ?? "")).toEqual(["news [9.4] c", "news [10.4] d"]);
  expect(inShort(streams[1]?.render("debug!position news 20\nnews!d\n") ?? "").at(-1)).toBe("news [21.4] d");
  expect(render("news!e\n")).toEqual([["news [11.4] e"], ["news [22.4] e"], ["news [10.4] e"], []]);
  expect(render("news!e\n")).toEqual([["news [12.4] e"], ["news [23.4] e"], ["news [11.4] e"], []]);
});

test("streams that share what they render give the same text another position each time", () => {
  const streams = [1, 2].map(() => {
    const { stream } = streamOf(["news", "all"]);
    stream.commands();
    stream.render("debug!position news 7\ndebug!position all 3\n1\n");
    return stream;
  });
  for (const position of [8, 9, 10]) {
    const again = [`news [${position}.3] again`];
    expect(streams.map((stream) => inShort(stream.render("news!again\n")))).toEqual([again, again]);
  }
});

test("a stream that is being resumed doesn't share what others render at the same positions", () => {
  const live = streamOf(["news", "all"]).stream;
  const resumed = streamOf(["news", "all"], [7, 3]).stream;
  for (const stream of [live, resumed]) stream.commands();
  live.render("debug!position news 7\ndebug!position all 3\n1\n");
  resumed.render("debug!position news 7\n");
  expect(inShort(live.render("news!a\nall!b\n"))).toEqual(["news [8.3] a", "all [8.4] b"]);
  // It is still subscribed to `all` at another position.
  expect(inShort(resumed.render("news!a\nall!b\n"))).toEqual(["news [8.3] a"]);
  resumed.render("1\ndebug!position all 3\nall!b\n");
  expect(inShort(resumed.render("1\n"))).toEqual(["debug [8.4] resumed complete"]);
  expect(live.render("1\n")).toBe("");
});
