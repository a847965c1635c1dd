import { beforeEach, expect, test, vi } from "vitest";
import { until } from "../until.ts";
import { connectTo, FakeSocket, greet, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

test("replies in any order are matched by key", async () => {
  const { client } = connectTo();
  const announced = ["k1", "k2", "k3"].map((key) => client.announce("a", key, { key }));
  const refused = expect(announced[1]).rejects.toMatchObject({
    code: "forbidden",
    message: "your token doesn't grant this channel",
  });
  const socket = await greet();
  expect(socket.lines.slice(-3)).toEqual(["once k1 a k1", "once k2 a k2", "once k3 a k3"]);
  socket.receive(
    "debug!once k3 6",
    "debug!error forbidden once k2: your token doesn't grant this channel",
    "debug!once k1 4",
  );
  expect([await announced[0], await announced[2]]).toEqual([4, 6]);
  await refused;
});

test("a temporarily refused message is retried before later ones overtake it", {
  tags: ["client-retries"],
}, async () => {
  const { client } = connectTo();
  const announced = ["k1", "k2"].map((key) => client.announce("a", key, { key }));
  const socket = await greet();
  const later = client.announce("a", "k3", { key: "k3" });
  socket.receive("debug!once k1 1", "debug!error rate once k2: too many lines");
  await vi.advanceTimersByTimeAsync(3_000);
  expect(socket.lines.slice(-2)).toEqual(["once k2 a k2", "once k3 a k3"]);
  socket.receive("debug!once k2 2", "debug!once k3 3");
  expect([await announced[0], await announced[1], await later]).toEqual([1, 2, 3]);
});

test("on channels without history, messages are announced without keys, and never retried", async () => {
  const { client } = connectTo();
  const first = client.announce("a", "x", { key: "k" });
  const socket = await greet();
  socket.receive("debug!error no-history once k: this channel retains no messages");
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["announce a x", "ping"]);
  socket.receive("1795438800");
  expect(await first).toBeUndefined();
  const second = client.announce("a", "y");
  await settle();
  expect(socket.lines.slice(-2)).toEqual(["announce a y", "ping"]);
  socket.end(1006);
  await expect(second).rejects.toMatchObject({ code: "uncertain" });
});

test.each([
  [undefined, 8_000],
  [10_000, 10_000],
  [3, 3],
])("with the rate %s, as many as %i announcements go out in a second", async (rate, most) => {
  const { client } = connectTo({ rate });
  client.connect();
  const socket = await greet();
  await vi.advanceTimersByTimeAsync(1_000);
  const announced = Promise.all(Array.from({ length: most + 1 }, (_, i) => client.announce("a", "x", { key: `${i}` })));
  await settle();
  const reply = () => {
    const keys = [
      ...socket.sent
        .splice(0)
        .join("")
        .matchAll(/^once (\S+)/gm),
    ].map(([, key]) => key);
    socket.receive(...keys.map((key) => `debug!once ${key} 1`));
    return keys.length;
  };
  expect(reply()).toBe(most);
  await vi.advanceTimersByTimeAsync(0);
  expect(reply()).toBe(0);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(reply()).toBe(1);
  expect(await announced).toHaveLength(most + 1);
});

test("after a refusal for the rate, half as many lines go out at a time", async () => {
  const { client } = connectTo({ rate: 100 });
  const announced = Promise.allSettled(
    Array.from({ length: 400 }, (_, i) => client.announce("a", "x", { key: `${i}` })),
  );
  const socket = await greet();
  await vi.advanceTimersByTimeAsync(1_000);
  const sent = () => socket.lines.filter((line) => line.startsWith("once "));
  const first = sent();
  for (const [i, line] of first.entries()) {
    const key = line.split(" ")[1];
    socket.receive(i === 0 ? `debug!error rate once ${key}: too many lines` : `debug!once ${key} ${i}`);
  }
  await vi.advanceTimersByTimeAsync(5_000);
  expect([first.length, sent().length - first.length]).toEqual([100, 50]);
  await client.close({ within: 0 });
  await announced;
});

test("200 announcements of 60 kB stay within the limits in flight, and all succeed", async () => {
  const { client } = connectTo();
  const text = "x".repeat(60_000);
  const announced = Promise.all(Array.from({ length: 200 }, (_, i) => client.announce("a", text, { key: `k${i}` })));
  const socket = await greet();
  let seen = 0;
  let replied = 0;
  const reply = async () => {
    const frames = socket.sent.slice(seen).join("");
    seen = socket.sent.length;
    expect(frames.length).toBeLessThan(300_000);
    for (const [, key] of frames.matchAll(/^once (\S+)/gm)) socket.receive(`debug!once ${key} ${++replied}`);
    await settle();
  };
  await until(() => replied === 200, reply);
  expect((await announced).at(-1)).toBe(200);
});

test("after a close with 1009, frames are smaller, and a single message is rejected", {
  tags: ["client-slows-down"],
}, async () => {
  const { client } = connectTo();
  const large = client.announce("a", "x".repeat(500_000));
  const refused = expect(large).rejects.toMatchObject({ code: "limit" });
  const small = client.announce("a", "small", { key: "k" });
  (await greet()).end(1009, "limit: a frame has at most 100000 bytes");
  await refused;
  await vi.advanceTimersByTimeAsync(1_000);
  (await greet()).receive("debug!once k 8");
  expect([await small, FakeSocket.made.length]).toEqual([8, 2]);
});

test("two announcements with one key are sent one after the other", async () => {
  const { client } = connectTo();
  const both = [client.announce("a", "x", { key: "k" }), client.announce("b", "y", { key: "k" })];
  const socket = await greet();
  expect(socket.lines.at(-1)).toBe("once k a x");
  socket.receive("debug!once k 5");
  await settle();
  expect(socket.lines.at(-1)).toBe("once k b y");
  socket.receive("debug!once k 9");
  expect(await Promise.all(both)).toEqual([5, 9]);
});

test("a timeout's code shows whether the message may have been announced; a signal rejects with its reason", {
  tags: ["client-uncertain"],
}, async () => {
  const { client } = connectTo();
  const offline = expect(client.announce("a", "x", { timeout: 50 })).rejects.toMatchObject({
    code: "unavailable",
  });
  await settle();
  await vi.advanceTimersByTimeAsync(50);
  await offline;
  const socket = await greet();
  const sent = expect(client.announce("a", "x", { timeout: 50 })).rejects.toMatchObject({
    code: "uncertain",
  });
  await vi.advanceTimersByTimeAsync(50);
  await sent;
  const controller = new AbortController();
  const stopped = expect(client.announce("a", "x", { signal: controller.signal })).rejects.toThrow("enough");
  controller.abort(new Error("enough"));
  await stopped;
  await expect(client.announce("a", "x", { signal: controller.signal })).rejects.toThrow("enough");
  expect(socket.lines.filter((line) => line.startsWith("once "))).toHaveLength(1);
});

test("close() lets announcements finish within its timeout, and accepts no more", {
  tags: ["client-close"],
}, async () => {
  const { client } = connectTo();
  const announced = client.announce("a", "x", { key: "k" });
  const socket = await greet();
  const closing = client.close();
  await expect(client.announce("a", "y")).rejects.toThrow("the client is closed");
  socket.receive("debug!once k 8");
  expect(await announced).toBe(8);
  await closing;
  expect([client.state, socket.isClosed, vi.getTimerCount()]).toEqual(["closed", true, 0]);
  expect(() => client.connect()).toThrow("the client is closed");
  await client.close();
});

test("close() also ends offline, and stops all work", async () => {
  const { client } = connectTo();
  const announced = expect(client.announce("a", "x")).rejects.toMatchObject({ code: "unavailable" });
  await settle();
  const closing = client.close({ within: 200 });
  await vi.advanceTimersByTimeAsync(200);
  await closing;
  await announced;
  const made = FakeSocket.made.length;
  await vi.advanceTimersByTimeAsync(600_000);
  expect([FakeSocket.made.length, vi.getTimerCount()]).toEqual([made, 0]);
});

test("ping resolves after earlier announcements and subscriptions have taken effect", {
  tags: ["client-barrier"],
}, async () => {
  const { client } = connectTo();
  const order: string[] = [];
  client.announce("a", "x", { key: "k" }).then(() => order.push("announced"));
  client.subscribe("b", { onState: (state) => void order.push(state) });
  client.ping().then(() => order.push("pong"));
  const socket = await greet("debug!position b 7");
  expect(socket.lines).not.toContain("ping");
  socket.receive("debug!once k 8");
  await settle();
  expect(socket.lines.at(-1)).toBe("ping");
  socket.end(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  (await greet("debug!position b 7")).receive("1795438800");
  await settle();
  expect(order).toEqual(["subscribed", "announced", "subscribing", "subscribed", "pong"]);
  await expect(client.ping({ timeout: -1 })).rejects.toThrow("takes milliseconds");
});

test("too many pending announcements are refused, to bound memory", { tags: ["client-pending"] }, async () => {
  const { client } = connectTo();
  const outcomes = Promise.allSettled(Array.from({ length: 20_001 }, () => client.announce("a", "x")));
  await settle();
  await client.close({ within: 0 });
  const reasons = (await outcomes).map((outcome) => (outcome.status === "rejected" ? outcome.reason.code : "fine"));
  expect([reasons[0], reasons.at(-1)]).toEqual(["unavailable", "limit"]);
});
