import { beforeEach, expect, test, vi } from "vitest";
import type { Gap, SubscribeOptions } from "../../../src/client/fanout.ts";
import { connectTo, FakeSocket, greet, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

/** Records a subscription's events. */
function noted(options: SubscribeOptions = {}) {
  const got: unknown[] = [];
  const all: SubscribeOptions = {
    ...options,
    onMessage: ({ text, position }) => void got.push(`${text} ${position}`),
    onGap: ({ from, to }: Gap) => void got.push([from, to]),
  };
  return { got, options: all };
}

test.each([
  ["since: 100 and then since: 200", { since: 100 }, { since: 200 }, "subscribe a since 200"],
  ["last: 1 and then last: 3", { last: 1 }, { last: 3 }, "subscribe a last 3"],
  ["since: 100 and then nothing", { since: 100 }, {}, "subscribe a since now"],
])("resubscribing with %s while connecting counts", async (_, first, second, line) => {
  const { client } = connectTo();
  client.subscribe("a", first).unsubscribe();
  const early = client.subscribe("a", first);
  await settle();
  early.unsubscribe();
  client.subscribe("a", second);
  expect((await greet()).lines).toContain(line);
});

test("subscribing in the listener for `connected` sends one subscription", async () => {
  const { client } = connectTo({
    onState: ({ state }) => {
      if (state === "connected") client.subscribe("b");
    },
  });
  client.subscribe("a");
  const socket = await greet("debug!position a 7");
  expect(socket.lines.filter((line) => line.startsWith("subscribe b"))).toEqual(["subscribe b since now"]);
});

test("each subscription to a channel has its own start, and receives everything once", {
  tags: ["client-once"],
}, async () => {
  const { client } = connectTo();
  const first = noted();
  client.subscribe("a", first.options);
  const socket = await greet("debug!position a 100", "a!101");
  const last = noted({ last: 3 });
  const since = noted({ since: 97 });
  client.subscribe("a", last.options);
  await settle();
  client.subscribe("a", since.options);
  await settle();
  const wanted = ["unsubscribe a", "subscribe a since 98", "subscribe a since now"];
  expect(socket.lines.slice(-3)).toEqual(wanted);
  // The reply to the first request is outdated.
  socket.receive("debug!position a 98", "a!99", "a!100", "a!101", "debug!position a 101");
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["unsubscribe a", "subscribe a since 97"]);
  socket.receive("debug!position a 97", "a!98", "a!99", "a!100", "a!101", "a!102");
  expect(first.got).toEqual(["101 101", "102 102"]);
  expect(last.got).toEqual(["99 99", "100 100", "101 101", "102 102"]);
  expect(since.got).toEqual(["98 98", "99 99", "100 100", "101 101", "102 102"]);
});

test("fewer messages than `last` are no gap; a gap is reported only to the subscriptions it concerns", async () => {
  const { client } = connectTo();
  const [first, last, since] = [noted(), noted({ last: 50 }), noted({ since: 10 })];
  client.subscribe("a", first.options);
  const socket = await greet("debug!position a 100");
  client.subscribe("a", last.options);
  client.subscribe("a", since.options);
  socket.receive("debug!position a 50", "debug!position a 100");
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["unsubscribe a", "subscribe a since 10"]);
  socket.receive("debug!gap a 10 90", "debug!position a 90", "a!91");
  expect([first.got, last.got, since.got]).toEqual([[], ["91 91"], [[10, 90], "91 91"]]);
});

test("a server that lost positions causes a gap, whether it reports one or not", async () => {
  const { client } = connectTo();
  const { got, options } = noted({ since: 100 });
  client.subscribe("a", options);
  const socket = await greet("debug!position a 100", "a!x");
  socket.receive("debug!position a 500", "a!y");
  socket.end(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  await greet("debug!gap a 501 3", "debug!position a 3", "a!z");
  expect(got).toEqual(["x 101", [101, 500], "y 501", [501, 3], "z 4"]);
});

test("on channels without history, a lost connection is a gap", async () => {
  const { client } = connectTo();
  const { got, options } = noted();
  client.subscribe("a", options);
  const socket = await greet("debug!error no-history subscribe a: this channel retains no messages", "a!x");
  socket.end(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  await greet("debug!error no-history subscribe a: this channel retains no messages", "a!y");
  expect(got).toEqual(["x undefined", [undefined, undefined], "y undefined"]);
});

test("temporary refusals are retried; others end only their channel", { tags: ["client-errors-apart"] }, async () => {
  const { client } = connectTo();
  const [busy, secret, fine] = ["busy", "secret", "fine"].map((channel) => client.subscribe(channel));
  const socket = await greet("debug!error unavailable subscribe busy: not now");
  socket.receive(
    "debug!error forbidden subscribe secret: your token doesn't grant this channel",
    "debug!position fine 7",
  );
  expect([busy?.state, secret?.state, fine?.state]).toEqual(["subscribing", "unsubscribed", "subscribed"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(socket.lines.at(-1)).toBe("subscribe busy since now");
  socket.receive("debug!position busy 3");
  expect([busy?.state, FakeSocket.made.length]).toEqual(["subscribed", 1]);
});

test("a subscription that is refused again and again is requested less and less often", async () => {
  const { client } = connectTo();
  client.subscribe("a");
  const socket = await greet("debug!position a 7");
  client.subscribe("busy");
  const count = () => socket.lines.filter((line) => line.startsWith("subscribe busy ")).length;
  for (let second = 0, refused = 0; second < 60; second++) {
    await settle();
    if (count() > refused) socket.receive("debug!error unavailable subscribe busy: not now");
    refused = count();
    await vi.advanceTimersByTimeAsync(1_000);
    socket.receive("debug!alive");
  }
  expect(count()).toBeLessThan(16);
  expect(count()).toBeGreaterThan(3);
});

test("a subscription that the server interrupts isn't `subscribed` until it continues", async () => {
  const { client } = connectTo();
  const states: string[] = [];
  client.subscribe("a", { onState: (state) => void states.push(state) });
  const socket = await greet("debug!position a 7", "debug!error unavailable subscribe a: the stream ended");
  expect(states).toEqual(["subscribed", "subscribing"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(socket.lines.at(-1)).toBe("subscribe a since 7");
  socket.receive("debug!position a 7");
  expect(states).toEqual(["subscribed", "subscribing", "subscribed"]);
});

test("an unsubscription refused for its rate doesn't affect the next subscription", async () => {
  const { client } = connectTo();
  const first = client.subscribe("a");
  client.subscribe("b");
  const socket = await greet("debug!position a 7", "debug!position b 3");
  first.unsubscribe();
  await settle();
  expect(socket.lines.at(-1)).toBe("unsubscribe a");
  const second = client.subscribe("a", { since: 5 });
  await settle();
  // The server may have refused the first one.
  expect(socket.lines.slice(-2)).toEqual(["unsubscribe a", "subscribe a since 5"]);
  socket.receive("debug!error rate unsubscribe a: too many lines", "debug!position a 5");
  await vi.advanceTimersByTimeAsync(3_000);
  expect(socket.lines.filter((line) => line === "unsubscribe a")).toHaveLength(2);
  expect([second.state, second.position]).toEqual(["subscribed", 5]);
});

test("listeners that throw don't affect others", async () => {
  const uncaught = vi.fn();
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", uncaught);
  const { client } = connectTo();
  const { got, options } = noted();
  client.subscribe("a", {
    onMessage: () => {
      throw new Error("a fault of the program");
    },
  });
  client.subscribe("a", options);
  await greet("debug!position a 7", "a!x", "a!y");
  await expect.poll(() => uncaught.mock.calls.length).toBe(2);
  process.removeAllListeners("uncaughtException");
  for (const listener of before) process.on("uncaughtException", listener);
  expect(got).toEqual(["x 8", "y 9"]);
});
