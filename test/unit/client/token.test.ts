import { beforeEach, expect, test, vi } from "vitest";
import { untilRenewal } from "../../../src/client/token.ts";
import { until } from "../until.ts";
import { breakOff, connectTo, FakeSocket, greet, settle, subscribed, tokenOf, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

const HOUR = 3_600_000;

test("a token is renewed 30 s before its expiry, or after half of its remaining time", {
  tags: ["client-renews"],
}, () => {
  expect(untilRenewal(tokenOf({ exp: 1_000 }), 0)).toBe(970_000);
  expect(untilRenewal(tokenOf({ exp: 20 }), 0)).toBe(10_000);
  expect(untilRenewal(tokenOf({ exp: 20, sub: "ü?>" }), 0)).toBe(10_000);
});

test("tokens that don't receive when they end aren't renewed", () => {
  for (const token of ["", "x", "a.b.c", tokenOf({}), tokenOf(null), tokenOf([]), tokenOf({ exp: "1" })])
    expect(untilRenewal(token, 0)).toBeUndefined();
});

test("with any clock skew, a renewal comes neither at once nor after more than a day", () => {
  for (const date of [-1e15, -20_000 * HOUR, -HOUR, 0, HOUR, 20_000 * HOUR, 1e15]) {
    for (const claims of [{ exp: 2e9 }, { exp: 100 }, { exp: 100, iat: 50 }, { exp: 1, iat: 5 }, { exp: -1e12 }]) {
      const wait = untilRenewal(tokenOf(claims), date);
      expect(wait).toBeGreaterThanOrEqual(2_000);
      expect(wait).toBeLessThanOrEqual(24 * HOUR);
    }
  }
  // An hour from the server's point of view.
  expect(untilRenewal(tokenOf({ exp: 3_600, iat: 0 }), 5 * HOUR)).toBe(HOUR - 30_000);
  expect(untilRenewal(tokenOf({ exp: 3_600, iat: 0 }), -5 * HOUR)).toBe(HOUR - 30_000);
});

test("a token of a year doesn't overflow the timer", async () => {
  const token = vi.fn(() => tokenOf({ exp: 1_700_000_000 + 365 * 86_400 }));
  await subscribed({ token });
  await settle();
  expect(token).toHaveBeenCalledTimes(1);
});

test("a renewal is sent only on an open connection, and not retried at once if refused", async () => {
  const token = vi.fn(() => tokenOf({ exp: 1_700_000_000 + 60 }));
  const { client, socket } = await subscribed({ token });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(socket.lines.filter((line) => line.startsWith("token "))).toHaveLength(1);
  socket.receive("debug!error forbidden token: the token doesn't grant 'a'");
  await vi.advanceTimersByTimeAsync(1_900);
  expect(token).toHaveBeenCalledTimes(2);
  client.disconnect();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(token).toHaveBeenCalledTimes(2);
});

test("a token that a function returns after its connection was replaced isn't sent, as the new one has its own", async () => {
  const expiring = tokenOf({ exp: 1_700_000_000 + 60 });
  const pending: ((token: string) => void)[] = [];
  const answers: (() => string | Promise<string>)[] = [
    () => expiring,
    () => new Promise((resolve) => pending.push(resolve)),
    () => tokenOf({ exp: 1_700_000_000 + 3_600 }),
  ];
  const token = vi.fn(() => answers.shift()?.() ?? "x.y.z");
  const { socket } = await subscribed({ token });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(pending).toHaveLength(1);
  await breakOff();
  const next = await greet("debug!position a 7");
  for (const resolve of pending) resolve("late.late.late");
  await vi.advanceTimersByTimeAsync(20_000);
  expect(token).toHaveBeenCalledTimes(3);
  for (const { lines } of [socket, next]) expect(lines.filter((line) => line.startsWith("token "))).toEqual([]);
});

/** Simulates a server that refuses tokens. */
const refusing = (code: string) => () => ({ status: 401, code, body: `The token is ${code}.` });

async function refuse(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await breakOff(20_000);
  }
}

test("a 401 is final only after fresh tokens failed, and never if they expired", async () => {
  const token = vi.fn(() => "x.y.z");
  const { client, states } = connectTo({ token }, refusing("expired"));
  client.subscribe("a");
  await refuse(10);
  expect(states()).not.toContain("failed");
  expect(token.mock.calls.length).toBeGreaterThan(9);
  await until(
    () => client.state === "connecting",
    () => vi.advanceTimersByTimeAsync(500),
  );
  await greet("debug!position a 7");
  expect(client.state).toBe("connected");
});

test("persistently invalid tokens are final, and everything pending fails with the reason", {
  tags: ["client-failed"],
}, async () => {
  const { client, changes } = connectTo({ token: () => "x.y.z" }, refusing("invalid"));
  const reasons: unknown[] = [];
  client.subscribe("a", { onState: (state, reason) => void reasons.push([state, reason]) });
  const announced = expect(client.announce("a", "x")).rejects.toMatchObject({ code: "invalid" });
  await refuse(8);
  await announced;
  expect(changes.at(-1)).toMatchObject({ state: "failed", code: 401, willRetry: false });
  expect(reasons).toEqual([["unsubscribed", "the token is invalid"]]);
});

test("a refused fixed token is final at once; later calls fail with the reason until connect()", async () => {
  const { client, states } = connectTo({ token: "x.y.z" }, refusing("expired"));
  client.subscribe("a");
  await refuse(1);
  expect(client.state).toBe("failed");
  const late = client.subscribe("b");
  await expect(late[Symbol.asyncIterator]().next()).rejects.toThrow("the token is expired");
  await expect(client.announce("b", "x")).rejects.toMatchObject({ name: "Refused", code: "expired" });
  await expect(client.ping()).rejects.toThrow("the token is expired");
  client.connect();
  await greet();
  expect(states().slice(-2)).toEqual(["connecting", "connected"]);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("no session");
    },
    "no session",
  ],
  ["rejects", () => Promise.reject(new Error("no session")), "no session"],
  ["never returns", () => new Promise<string>(() => {}), "didn't return within 20 s"],
])(
  "a function that %s is asked again later, and the reason is reported",
  { tags: ["client-token-retry"] },
  async (_, token, why) => {
    const asked = vi.fn(token);
    const { client, changes } = connectTo({ token: asked });
    client.subscribe("a");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(changes[1]).toMatchObject({ state: "disconnected", willRetry: true });
    expect(changes[1]?.reason).toContain(why);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked.mock.calls.length).toBeGreaterThan(1);
    expect(asked.mock.calls.length).toBeLessThan(30);
  },
);

test.each([
  ["nothing", undefined, "undefined"],
  ["an error page", "<h1>Bad gateway</h1>", "string"],
  ["an empty text", "", "string"],
  ["an object", { token: "x.y.z" }, "object"],
])("a function that never returned a token, but %s, is final, and its value isn't shown", async (_, value, type) => {
  const given: object = { value };
  const { client, changes } = connectTo({ token: () => Reflect.get(given, "value") });
  const subscription = client.subscribe("a");
  const why = `the token is of type ${type}; it takes a JWT, or a function that returns one`;
  await expect(client.announce("a", "x")).rejects.toMatchObject({ code: "invalid", message: why });
  await expect(subscription[Symbol.asyncIterator]().next()).rejects.toThrow(why);
  expect(changes.at(-1)).toMatchObject({ state: "failed", willRetry: false, reason: `invalid: ${why}` });
  expect(FakeSocket.made).toEqual([]);
});

test("a function that returned a token before, but no longer does, is asked again later", async () => {
  const tokens = ["x.y.z", "<h1>Bad gateway</h1>"];
  const { client, changes } = connectTo({ token: () => tokens.shift() ?? "x.y.z" });
  client.subscribe("a");
  const socket = await greet("debug!position a 7");
  socket.end(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(changes.at(-1)).toMatchObject({
    state: "disconnected",
    willRetry: true,
    reason: "the token is of type string; it takes a JWT, or a function that returns one",
  });
  await vi.advanceTimersByTimeAsync(2_000);
  await greet("debug!position a 7");
  expect(client.state).toBe("connected");
});
