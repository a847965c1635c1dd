import { beforeEach, expect, test, vi } from "vitest";
import type { Gap, Message, SubscribeOptions } from "../../../src/client/fanout.ts";
import { connectTo, greet, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

async function begin(options: SubscribeOptions = {}) {
  const { client } = connectTo();
  const subscription = client.subscribe("a", options);
  const socket = await greet("debug!position a 0");
  const receive = (from: number, to: number) =>
    socket.receive(...Array.from({ length: to - from + 1 }, (_, i) => `a!${from + i}`));
  return { client, subscription, socket, receive };
}

async function take(messages: AsyncIterable<Message>, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of messages) {
    texts.push(text);
    if (texts.length === count) break;
  }
  return texts;
}

test("messages between subscribe() and the first next() are buffered", async () => {
  const { subscription, receive } = await begin();
  receive(1, 3);
  expect(await take(subscription, 3)).toEqual(["1", "2", "3"]);
  expect(subscription.state).toBe("unsubscribed");
});

test("a listener of another event leaves the buffered messages alone, and one of messages takes them over", async () => {
  const { subscription, receive } = await begin();
  subscription.on("state", () => {});
  receive(1, 2);
  expect(await take(subscription, 2)).toEqual(["1", "2"]);
  const other = await begin();
  const heard: string[] = [];
  other.subscription.on("message", ({ text }) => void heard.push(text));
  other.receive(1, 1);
  const reading = take(other.subscription, 1);
  other.receive(2, 2);
  expect([heard, await reading]).toEqual([["1", "2"], ["2"]]);
});

test("a frame of 1,500 messages doesn't overflow a running loop", async () => {
  const { subscription, receive } = await begin();
  const reading = take(subscription, 1_500);
  receive(1, 1_500);
  expect(await reading).toHaveLength(1_500);
});

test("`last` raises the buffer", async () => {
  const { subscription, receive } = await begin({ last: 1_500 });
  receive(1, 1_500);
  await settle();
  expect(await take(subscription, 1_500)).toHaveLength(1_500);
});

test("a loop that doesn't read ends with an error after its buffered messages", {
  tags: ["client-buffer"],
}, async () => {
  const { subscription, receive } = await begin({ buffer: 2 });
  const loop = subscription[Symbol.asyncIterator]();
  receive(1, 3);
  await settle();
  expect([(await loop.next()).value?.text, (await loop.next()).value?.text, (await loop.next()).value?.text]).toEqual([
    "1",
    "2",
    "3",
  ]);
  await expect(loop.next()).rejects.toThrow("more than 2 messages are pending");
  expect(await loop.next()).toEqual({ done: true, value: undefined });
  expect(subscription.state).toBe("unsubscribed");
});

test("with `overflow: oldest` the oldest messages are dropped, which is a gap", {
  tags: ["client-buffer"],
}, async () => {
  const gaps: Gap[] = [];
  const { subscription, receive } = await begin({
    buffer: 2,
    overflow: "oldest",
    onGap: (gap) => void gaps.push(gap),
  });
  const loop = subscription[Symbol.asyncIterator]();
  receive(1, 5);
  await settle();
  expect((await loop.next()).value?.text).toBe("4");
  expect(gaps).toEqual([{ channel: "a", from: 0, to: 3 }]);
});

test("a subscription that is never read ends, to bound memory, and throws when it is read", async () => {
  const { subscription, receive } = await begin();
  for (let i = 0; i < 5; i++) {
    receive(1 + 1_000 * i, 1_000 * (i + 1));
    await settle();
  }
  expect(subscription.state).toBe("unsubscribed");
  await expect(take(subscription, 5_000)).rejects.toThrow("more than 1000 messages are pending");
});

test("return() doesn't wait for the next message, and ends calls of next()", async () => {
  const { subscription } = await begin();
  const loop = subscription[Symbol.asyncIterator]();
  const pending = [loop.next(), loop.next()];
  expect(await loop.return?.()).toEqual({ done: true, value: undefined });
  expect(await Promise.all(pending)).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  expect(subscription.state).toBe("unsubscribed");
});

test("each of several loops receives every message, and the last one to leave unsubscribes", async () => {
  const { subscription, receive } = await begin();
  const loops = [take(subscription, 1), take(subscription, 2)];
  receive(1, 1);
  expect(await loops[0]).toEqual(["1"]);
  expect(subscription.state).toBe("subscribed");
  receive(2, 2);
  expect(await loops[1]).toEqual(["1", "2"]);
  expect(subscription.state).toBe("unsubscribed");
});

test("an AbortSignal unsubscribes and ends loops, also if it was aborted before", async () => {
  const controller = new AbortController();
  const { client, subscription, receive } = await begin({ signal: controller.signal });
  const reading = take(subscription, 10);
  receive(1, 2);
  await settle();
  controller.abort();
  expect([await reading, subscription.state]).toEqual([["1", "2"], "unsubscribed"]);
  const late = client.subscribe("b", { signal: controller.signal });
  expect(await take(late, 1)).toEqual([]);
});

test("closing ends loops", async () => {
  const { client, subscription } = await begin();
  const reading = take(subscription, 1);
  await client.close();
  expect(await reading).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
