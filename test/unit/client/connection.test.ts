import { beforeEach, describe, expect, test, vi } from "vitest";
import { until } from "../until.ts";
import { breakOff, connectTo, FakeSocket, greet, requests, settle, subscribed, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

test("a client connects at a channel with its position, and parses lines split anywhere", async () => {
  const { client } = connectTo({ token: "t" }, undefined, "https://example.com/live/");
  const received: string[] = [];
  const onMessage = ({ text, position }: { text: string; position: number | undefined }) =>
    void received.push(`${text} ${position}`);
  client.subscribe("a/b", { since: 7, onMessage });
  await settle();
  const socket = FakeSocket.newest;
  expect([socket.url, socket.protocols]).toEqual(["wss://example.com/live/a%2Fb?since=7", ["fanout", "t"]]);
  for (const data of ["debug!connec", "ted...\ndebug!gap a/b 7 9\ndebug!position a/b 9\na/b!x!y\na", "ll!z\n"]) {
    socket.onmessage?.({ data });
  }
  expect(received).toEqual(["x!y 10"]);
});

test("a client that only announces connects at the announcement's channel", async () => {
  const { client } = connectTo();
  const announced = client.announce("orders", "x", { key: "k" });
  const socket = await greet();
  expect([socket.url, socket.lines]).toEqual([
    "wss://host/orders",
    ["unsubscribe all", "unsubscribe orders", "once k orders x"],
  ]);
  socket.receive("debug!once k 8");
  expect(await announced).toBe(8);
});

test.each([1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 3000, 4999])(
  "the client reconnects and resumes after a close with %i",
  async (code) => {
    const { client, states } = connectTo();
    client.subscribe("a", { since: 7 });
    const socket = await greet("debug!position a 7", "a!x");
    socket.end(code, "");
    expect(client.state).toBe("disconnected");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.newest.url).toBe("wss://host/a?since=8");
    expect(states()).not.toContain("failed");
  },
);

test("after a close for the rate, the client retries with fewer lines at a time", {
  tags: ["client-slows-down"],
}, async () => {
  const { client } = connectTo();
  const announced = Array.from({ length: 5_000 }, (_, i) => client.announce("a", "x", { key: String(i) }));
  const settled = Promise.all(announced);
  const socket = await greet();
  socket.end(1008, "rate: far more than 100 lines per second");
  await vi.advanceTimersByTimeAsync(1_000);
  const next = await greet();
  let replied = 0;
  const reply = async () => {
    const lines = next.lines.filter((line) => line.startsWith("once ")).slice(replied);
    for (const line of lines) next.receive(`debug!once ${line.split(" ")[1]} ${replied++}`);
    await vi.advanceTimersByTimeAsync(100);
  };
  await until(() => replied === 5_000, reply);
  expect((await settled).at(-1)).toBe(4_999);
});

test("a server that greets and closes causes growing delays", { tags: ["client-backoff"] }, async () => {
  const { client } = connectTo();
  client.subscribe("a");
  for (let second = 0; second < 60; second++) {
    await settle();
    if (client.state === "connecting") {
      await greet();
      FakeSocket.newest.end(1013, "unavailable: not now");
    }
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(FakeSocket.made.length).toBeLessThan(16);
  expect(FakeSocket.made.length).toBeGreaterThan(3);
});

test("after a long connection the client reconnects soon", { tags: ["client-backoff"] }, async () => {
  const { client } = connectTo();
  client.subscribe("a");
  for (let i = 1; i < 10; i++) {
    const socket = await greet("debug!position a 7");
    await vi.advanceTimersByTimeAsync(10_000);
    socket.end(1001);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.made).toHaveLength(i + 1);
  }
});

test("a 403 ends one channel, and the client connects at another", async () => {
  const respond = (_: string, url: string) =>
    url.includes("/secret")
      ? { status: 403, code: "forbidden", body: "Your token doesn't grant this channel." }
      : { status: 200 };
  const { client } = connectTo({}, respond);
  const secret = client.subscribe("secret");
  const other = client.subscribe("b");
  const announced = client.announce("b", "x", { key: "k" });
  await breakOff();
  await expect(secret[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "forbidden" });
  const socket = await greet("debug!position b 7");
  socket.receive("debug!once k 8");
  expect([socket.url, other.state, await announced]).toEqual(["wss://host/b?since=now", "subscribed", 8]);
});

test("a client that may announce but not subscribe connects at the root", async () => {
  const respond = (_: string, url: string) =>
    url.includes("/drop")
      ? { status: 403, code: "forbidden", body: "Your token doesn't grant this channel." }
      : { status: 200 };
  const { client } = connectTo({}, respond);
  const announced = client.announce("drop", "x", { key: "k" });
  await breakOff();
  const socket = await greet();
  socket.receive("debug!once k 8");
  expect([socket.url, await announced]).toEqual(["wss://host/", 8]);
});

test("a refusal of the page is final", async () => {
  const { client, changes } = connectTo({}, () => ({
    status: 403,
    code: "forbidden",
    body: "Not this origin.",
  }));
  client.connect();
  await settle();
  FakeSocket.newest.end(1006);
  await settle();
  expect(changes.at(-1)).toMatchObject({ state: "failed", code: 403, reason: "forbidden: not this origin" });
});

test.each([401, 403, 404, 500, 502])("a %i from a proxy is not final", async (status) => {
  const { client, states } = connectTo({ token: "t" }, () => ({ status, body: "<html>" }));
  client.subscribe("a");
  await breakOff();
  expect(FakeSocket.made).toHaveLength(2);
  expect(states()).not.toContain("failed");
});

test("the server's Retry-After is respected up to a limit", async () => {
  const { client } = connectTo({}, () => ({ status: 503, code: "unavailable", retryAfter: "30" }));
  client.subscribe("a");
  await breakOff(29_000);
  expect(FakeSocket.made).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(FakeSocket.made).toHaveLength(2);
  await client.close({ within: 0 });
  for (const retryAfter of ["86400", "1e300"]) {
    const before = FakeSocket.made.length + 1;
    const { client: other } = connectTo({}, () => ({ status: 503, retryAfter }));
    other.subscribe("a");
    await breakOff(299_000);
    expect(FakeSocket.made).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.made).toHaveLength(before + 1);
    await other.close({ within: 0 });
  }
});

test("frames have at most 256,000 characters and one second's lines, however much there is to send", async () => {
  const { client } = connectTo({ rate: 1_000 });
  const names = Array.from({ length: 2_000 }, (_, i) => `${i}`.padEnd(250, "x"));
  for (const name of names) client.subscribe(name);
  const socket = await greet();
  await vi.advanceTimersByTimeAsync(5_000);
  for (const frame of socket.sent) {
    expect(frame.length).toBeLessThanOrEqual(256_000);
    expect(frame.split("\n").length - 1).toBeLessThanOrEqual(1_000);
  }
  expect(socket.lines.filter((line) => line.startsWith("subscribe "))).toHaveLength(1_999);
});

test("a client that reconnects to a channel that no longer retains messages reports a gap without an end", async () => {
  const { subscription, socket } = await subscribed();
  const gaps: unknown[] = [];
  subscription.on("gap", (gap) => void gaps.push(gap));
  socket.receive("a!x");
  await breakOff();
  await greet("debug!error no-history subscribe a: this channel retains no messages", "a!y");
  expect(gaps).toEqual([{ channel: "a", from: 8, to: undefined }]);
  expect([subscription.state, subscription.position]).toEqual(["subscribed", undefined]);
});

test("nothing is sent on a connection that the client closes in the same turn", async () => {
  const debugged: string[] = [];
  const { client } = connectTo({ debug: (event) => void debugged.push(event) });
  client.connect();
  const socket = await greet();
  const before = socket.sent.length;
  client.subscribe("a");
  client.announce("b", "x").catch(() => {});
  debugged.length = 0;
  client.disconnect();
  await settle();
  expect([socket.isClosed, socket.sent.length, debugged]).toEqual([true, before, []]);
});

test("a line without an end closes the connection after 16,000,000 characters", async () => {
  const { client, socket } = await subscribed();
  for (const part of ["x".repeat(8_000_000), "x".repeat(8_000_000)]) socket.onmessage?.({ data: part });
  expect(client.state).toBe("connected");
  socket.onmessage?.({ data: "x" });
  expect([client.state, socket.isClosed]).toEqual(["disconnected", true]);
});

test("if requests succeed and WebSockets don't, the client uses requests", async () => {
  const { client } = connectTo({}, () => ({ status: 200, body: "ok" }));
  client.connect();
  for (let i = 0; i < 2; i++) {
    await breakOff(2_000);
  }
  await vi.dynamicImportSettled();
  expect([FakeSocket.made.length, client.state, requests.at(-1)]).toEqual([
    2,
    "connected",
    "GET https://host/-/health",
  ]);
});

describe("a silent server", () => {
  test("is detected by a keepalive, which doesn't wake the server", { tags: ["client-keepalive"] }, async () => {
    const { client, socket } = await subscribed();
    const before = socket.sent.length;
    await vi.advanceTimersByTimeAsync(25_000);
    expect(socket.sent.slice(before)).toEqual(["keepalive\n"]);
    socket.receive("debug!alive");
    await vi.advanceTimersByTimeAsync(24_999);
    expect(client.state).toBe("connected");
    await vi.advanceTimersByTimeAsync(1 + 8_000);
    expect(client.state).toBe("disconnected");
  });

  test("before the greeting causes a timeout, without a crash of the package `ws`", async () => {
    const { client } = connectTo();
    client.subscribe("a");
    await settle();
    const socket = FakeSocket.newest;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(socket.isClosed).toBe(true);
    // `ws` emits an error after the close, which would end the process without a handler.
    expect(socket.onerror).toBeTypeOf("function");
    socket.onerror?.(new Error("closed before the connection was established"));
  });

  test("that ignores one command is left after a minute, and the command is retried", async () => {
    const { client } = connectTo();
    client.announce("a", "x", { key: "k" }).catch(() => {});
    const socket = await greet();
    for (let i = 0; i < 3; i++) {
      await vi.advanceTimersByTimeAsync(25_000);
      socket.receive("debug!alive");
    }
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await greet()).lines).toContain("once k a x");
    expect(FakeSocket.made).toHaveLength(2);
  });
});

test("a send that throws ends the session", async () => {
  const { client, socket } = await subscribed();
  socket.send = () => {
    throw new Error("Cannot perform I/O on behalf of a different request");
  };
  client.announce("a", "x", { key: "k" }).catch(() => {});
  await settle();
  expect(client.state).toBe("disconnected");
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await greet()).lines).toContain("once k a x");
});

describe("wake-ups", () => {
  let target = new EventTarget();
  const wake = (event: string) => target.dispatchEvent(new Event(event));
  beforeEach(() => {
    target = new EventTarget();
    for (const name of ["addEventListener", "removeEventListener"] as const) {
      vi.stubGlobal(name, target[name].bind(target));
    }
    vi.stubGlobal("document", { hidden: false });
  });

  test("end a delay, and restart a hanging attempt; flapping networks cause no flood", {
    tags: ["client-wakes"],
  }, async () => {
    const { client } = connectTo();
    client.subscribe("a");
    await settle();
    await vi.advanceTimersByTimeAsync(3_000);
    wake("online");
    await settle();
    expect(FakeSocket.made).toHaveLength(2);
    for (let i = 0; i < 1_000; i++) {
      wake("online");
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(FakeSocket.made).toHaveLength(2);
  });

  test("check an open session; hiding the page doesn't", async () => {
    const { socket } = await subscribed();
    const before = socket.sent.length;
    vi.stubGlobal("document", { hidden: true });
    wake("visibilitychange");
    expect(socket.sent.length).toBe(before);
    vi.stubGlobal("document", { hidden: false });
    wake("visibilitychange");
    wake("pageshow");
    expect(socket.sent.slice(before)).toEqual(["keepalive\n"]);
  });
});

test("an idle client disconnects after a minute, and reconnects on demand", { tags: ["client-idle"] }, async () => {
  const { client, states, subscription, socket } = await subscribed();
  subscription.unsubscribe();
  await vi.advanceTimersByTimeAsync(26_000);
  socket.receive("debug!alive");
  await vi.advanceTimersByTimeAsync(26_000);
  socket.receive("debug!alive");
  await vi.advanceTimersByTimeAsync(8_000);
  expect([client.state, socket.isClosed, vi.getTimerCount()]).toEqual(["disconnected", true, 0]);
  client.subscribe("a");
  await greet("debug!position a 7");
  expect(states()).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"]);
});

test("disconnect() keeps positions and announcements until connect()", async () => {
  const { client } = connectTo();
  const subscription = client.subscribe("a", { since: 7 });
  const socket = await greet("debug!position a 7", "a!x");
  client.disconnect();
  const announced = client.announce("a", "y", { key: "k" });
  await vi.advanceTimersByTimeAsync(100_000);
  expect([socket.isClosed, FakeSocket.made.length, subscription.state]).toEqual([true, 1, "subscribing"]);
  client.connect();
  const next = await greet("debug!position a 8", "a!y");
  next.receive("debug!once k 9");
  expect([next.url, await announced, subscription.position]).toEqual(["wss://host/a?since=8", 9, 9]);
});

test("several listeners may throw, and each can be removed", async () => {
  const thrown: unknown[] = [];
  const { client } = connectTo();
  const off = client.on("state", () => thrown.push("called"));
  const seen: string[] = [];
  client.on("state", ({ state }) => void seen.push(state));
  client.connect();
  await settle();
  off();
  await greet();
  expect([thrown, seen]).toEqual([["called"], ["connecting", "connected"]]);
  expect(() => Reflect.apply(client.on, undefined, ["message", () => {}])).toThrow(
    'the event is "message"; it takes state',
  );
});

test("an address with a channel is refused when the server subscribes to a channel that the client doesn't know", async () => {
  const { client, changes } = connectTo({}, undefined, "wss://host/news");
  const subscription = client.subscribe("news");
  await settle();
  expect(FakeSocket.newest.url).toBe("wss://host/news/news?since=now");
  await greet("debug!position news/news 7");
  const why = "leave the channel out of the address";
  await expect(subscription[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "invalid", message: why });
  expect(changes.at(-1)).toMatchObject({ state: "failed", willRetry: false, reason: `invalid: ${why}` });
});

describe("without a listener for states, the console shows", () => {
  const warnings: unknown[] = [];
  beforeEach(() => {
    warnings.length = 0;
    const warn = vi.spyOn(console, "warn").mockImplementation((warning) => void warnings.push(warning));
    return () => warn.mockRestore();
  });

  test("why attempts fail, until one succeeds", async () => {
    const { client } = connectTo({ onState: undefined }, () => ({ status: 404, body: "Not found" }));
    client.subscribe("a");
    await settle();
    FakeSocket.newest.end(1006);
    await settle();
    expect(warnings).toEqual(["Fanout: the answer isn't from Fanout (not found); check the address"]);
    await vi.advanceTimersByTimeAsync(1_000);
    const socket = await greet("debug!position a 7");
    socket.end(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(warnings).toHaveLength(1);
  });

  test("nothing if there is one", async () => {
    const { client, changes } = connectTo({}, () => ({ status: 404, body: "<html>\nNot found" }));
    client.subscribe("a");
    await settle();
    FakeSocket.newest.end(1006);
    await settle();
    expect(changes.at(-1)?.reason).toBe("the answer isn't from Fanout (status 404); check the address");
    expect(warnings).toEqual([]);
  });
});

test("debug shows events without tokens", async () => {
  const events: string[] = [];
  await subscribed({ token: () => "a.b.c", debug: (event) => void events.push(event) });
  expect(events.join("\n")).toContain("connecting to wss://host/a?since=now");
  expect(events.join("\n")).toContain("< debug!connected...");
  expect(events.join("\n")).not.toContain("a.b.c");
});
