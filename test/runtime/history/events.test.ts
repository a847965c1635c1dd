/** Subscribing by HTTP: streams of lines and events, polls, and resuming. */

import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { sentenceOf } from "../../../src/protocol/errors.ts";
import { byChannel } from "../../by-channel.ts";
import { Client } from "../support/client.ts";
import { evictAll, settleQuickly, unique } from "../support/service.ts";
import { EVENTS, StreamReader } from "../support/stream-reader.ts";

settleQuickly();

test("a stream has the same lines as a WebSocket", { tags: ["stream-lines"] }, async () => {
  const news = unique("news");
  const [talker, reader] = [await Client.connect(), await StreamReader.open(`/${news}`)];
  expect(await reader.upTo("\n")).toBe("debug!connected...");
  talker.send(`announce ${news} a\nannounce ${news} b`);
  expect([await reader.upTo("\n"), await reader.upTo("\n")]).toEqual([`${news}!a`, `${news}!b`]);
  // The Worker holds the stream, so the object can hibernate.
  await evictAll();
  talker.send(`announce ${news} c`);
  expect(await reader.upTo("\n")).toBe(`${news}!c`);
  expect(reader.response.headers.get("Content-Type")).toBe("text/plain; charset=utf-8");
});

test("a poll returns missed messages and the next position, and ends", { tags: ["poll-ends"] }, async () => {
  const news = unique("news");
  const talker = await Client.connect();
  const start = await exports.default.fetch(`http://fanout.test/${news}?poll`);
  const position = Number(start.headers.get("Fanout-Position"));
  expect(await start.text()).toBe("");
  talker.send(`announce ${news} a\nannounce ${news} b`);
  await talker.ping();
  const next = await exports.default.fetch(`http://fanout.test/${news}?poll&since=${position}`);
  expect([await next.text(), next.headers.get("Fanout-Position")]).toEqual([
    `${news}!a\n${news}!b\n`,
    String(position + 2),
  ]);
  const old = await exports.default.fetch(`http://fanout.test/${news}?poll&since=1`);
  expect((await old.text()).split("\n")[0]).toBe(`debug!gap ${news} 1 ${position}`);
});

test("an event stream resumes with exactly the missed messages of every channel, even after all objects were evicted", {
  tags: ["events-resume"],
}, async () => {
  const [news, art] = [unique("news"), unique("art")];
  const talker = await Client.connect();
  const path = `/${news}?channel=${art}`;
  const reader = await StreamReader.open(path, EVENTS);
  await reader.debugEvent(/^position all/);
  const send = async (...lines: string[]) => {
    talker.send(lines.join("\n"));
    await talker.ping();
  };
  await send(`announce ${news} 1`, `announce ${art} 2`, "announce all 3");
  const events = [await reader.event(), await reader.event(), await reader.event()];
  expect(
    byChannel(
      events.map(({ event, data }) => `${event} ${data}`),
      " ",
    ),
  ).toEqual({
    [art]: ["2"],
    [news]: ["1"],
    all: ["3"],
  });
  // Like a page that has received only the first event.
  reader.leave();
  await send(`announce ${news} 4`, `announce ${art} 5`);
  await evictAll();
  const back = await StreamReader.open(path, { ...EVENTS, "Last-Event-ID": events[0]?.id ?? "" });
  const missed = [];
  for (let i = 0; i < 4; i++) missed.push(await back.event());
  const before = events.slice(1).map(({ event, data }) => `${event} ${data}`);
  expect(
    byChannel(
      missed.map(({ event, data }) => `${event} ${data}`),
      " ",
    ),
  ).toEqual(byChannel([...before, `${news} 4`, `${art} 5`], " "));
  expect(await back.debugEvent(/^resumed/)).toBe("resumed complete");
  await send(`announce ${news} 6`);
  expect(await back.event()).toMatchObject({ event: news, data: "6" });
});

test("a gap is an event too", { tags: ["gap-named"] }, async () => {
  const news = unique("news");
  const reader = await StreamReader.open(`/${news}`, { ...EVENTS, "Last-Event-ID": "5.-" });
  expect(await reader.debugEvent(/^gap/)).toMatch(new RegExp(`^gap ${news} 5 \\d+$`));
  expect(await reader.debugEvent(/^resumed/)).toBe("resumed gap");
});

test("a message with a carriage return is still one event without additional fields", {
  tags: ["events-line-end"],
}, async () => {
  const news = unique("news");
  const [talker, reader] = [await Client.connect(), await StreamReader.open(`/${news}`, EVENTS)];
  await reader.debugEvent(/^position all/);
  talker.send(`announce ${news} a\rid: 7\revent: x`);
  expect(await reader.upTo("event: news")).not.toContain("id: 7");
  expect(await reader.upTo("\n\n")).toMatch(/\ndata: a\ndata: id: 7\ndata: event: x$/);
});

test("the server notices clients that disconnect, and ends their subscriptions", async () => {
  const news = unique("news");
  const reader = await StreamReader.open(`/${news}`);
  await reader.upTo("\n");
  const talker = await Client.connect();
  const listeners = async () => {
    const response = await exports.default.fetch(`http://fanout.test/-/channels/${news}`);
    return /"listeners":(\d+)/.exec(await response.text())?.[1];
  };
  expect(await listeners()).toBe("1");
  reader.leave();
  await expect.poll(listeners).toBe("0");
  await talker.ping();
});

test.each([
  [
    "two numbers for three channels",
    "/news?channel=art",
    { "Last-Event-ID": "1.2" },
    "'Last-Event-ID' isn't an id of a stream of these channels",
  ],
  ["an invalid id", "/news", { "Last-Event-ID": "x" }, "'Last-Event-ID' isn't an id of a stream of these channels"],
  [
    "an invalid channel",
    "/news?channel=a!b",
    {},
    "a channel name has no '!', space or control character; use '-' instead",
  ],
  [
    "a position in two channels",
    "/news?channel=art&since=1",
    {},
    "'since' is a position of one channel, and there are several",
  ],
])("%s is refused", async (_, path, headers, why) => {
  const response = await exports.default.fetch(`http://fanout.test${path}`, {
    headers: { ...EVENTS, ...headers },
  });
  expect([response.status, await response.text()]).toEqual([400, `${sentenceOf(why)}\n`]);
  expect(response.headers.get("Fanout-Error")).toBe("invalid");
});

test("HEAD returns the same headers, and opens no connection", async () => {
  const response = await exports.default.fetch("http://fanout.test/news", {
    method: "HEAD",
    headers: EVENTS,
  });
  expect([response.status, response.headers.get("Content-Type")]).toEqual([200, "text/event-stream"]);
  expect(response.headers.get("Cache-Control")).toBe("no-store, no-transform");
});
