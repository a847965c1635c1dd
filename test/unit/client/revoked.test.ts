/** Revoked tokens end a client until the program sets another one. */
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Client } from "../../../src/client/client.ts";
import { environmentOf } from "../../../src/client/environment.ts";
import type { FetchLike } from "../../../src/client/fanout.ts";
import { RequestSocket } from "../../../src/client/requests.ts";
import { breakOff, connectTo, FakeSocket, greet, settle, tokenOf, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

const TIME = "1700000000";
const WHY = "your token was revoked; get a new one";
const REVOKED = { name: "Refused", code: "revoked", message: WHY };
const MINUTES = 600_000;

type Respond = Parameters<typeof connectTo>[1];

/** Creates a client with a subscription and a presence. */
async function connected(token: string | (() => string), respond?: Respond) {
  const onEnd = vi.fn();
  const subscriptions: unknown[] = [];
  const made = connectTo({ token }, respond);
  const { client } = made;
  const onMessage = ({ text }: { text: string }) => void subscriptions.push(text);
  client.subscribe("a", { onMessage, onState: (...change) => void subscriptions.push(change) });
  const entered = client.enter("b", "ann", "1", { onEnd });
  const socket = await greet("debug!position a 7");
  socket.receive(TIME);
  await entered;
  return { ...made, socket, subscriptions, onEnd };
}

/** Lets time pass and wakes the client; returns whether it neither asked for a token nor connected. */
async function staysAway(token: () => unknown, act = vi.fn(token)): Promise<boolean> {
  const [connections, calls] = [FakeSocket.made.length, act.mock.calls.length];
  await vi.advanceTimersByTimeAsync(MINUTES);
  return FakeSocket.made.length === connections && act.mock.calls.length === calls;
}

test("a connection closed as revoked is the last one, and pending work fails with the reason", async () => {
  const token = vi.fn(() => "x.y.z");
  const { client, changes, socket, subscriptions, onEnd } = await connected(token);
  const asked = expect(client.ping()).rejects.toMatchObject(REVOKED);
  const updated = expect(client.enter("b", "ann", "2")).rejects.toMatchObject(REVOKED);
  await settle();
  const sent = expect(client.announce("a", "sent")).rejects.toMatchObject({ code: "uncertain", message: WHY });
  await settle();
  const unsent = expect(client.announce("a", "not sent")).rejects.toMatchObject(REVOKED);
  socket.end(1008, `revoked: ${WHY}`);
  await Promise.all([asked, updated, sent, unsent]);
  expect(changes.at(-1)).toEqual({ state: "failed", code: 1008, reason: `revoked: ${WHY}`, willRetry: false });
  expect(await staysAway(token, token)).toBe(true);
  expect(token).toHaveBeenCalledTimes(1);
  await expect(client.announce("a", "x")).rejects.toMatchObject(REVOKED);
  expect(() => client.connect()).toThrow(WHY);
  expect([client.state, onEnd.mock.calls, subscriptions.at(-1)]).toEqual([
    "failed",
    [],
    ["subscribing", undefined, undefined],
  ]);
});

test("a new token resumes subscriptions and presence, and announcements work again", async () => {
  const { client, socket, subscriptions, states } = await connected("old.y.z");
  socket.receive("a!eight");
  await settle();
  const updated = expect(client.enter("b", "ann", "2")).rejects.toMatchObject(REVOKED);
  socket.end(1008, `revoked: ${WHY}`);
  await updated;
  client.setToken("new.y.z");
  const next = await greet("debug!position a 8");
  expect([next.url, next.protocols]).toEqual(["wss://host/a?since=8", ["fanout", "new.y.z"]]);
  expect(next.lines).toContain("enter b ann 1");
  const announced = client.announce("a", "nine", { key: "k" });
  next.receive(TIME);
  await settle();
  next.receive("a!nine", "debug!once k 9");
  expect(await announced).toBe(9);
  expect(subscriptions.at(-1)).toBe("nine");
  expect(states().slice(-3)).toEqual(["failed", "connecting", "connected"]);
});

test("a 401 with `revoked` is final at once, also for a function", async () => {
  const token = vi.fn(() => "x.y.z");
  const { client, changes } = connectTo({ token }, () => ({ status: 401, code: "revoked", body: `${WHY}.` }));
  client.subscribe("a");
  await breakOff();
  expect(changes.at(-1)).toMatchObject({ state: "failed", code: 401, reason: `revoked: ${WHY}`, willRetry: false });
  expect(await staysAway(token, token)).toBe(true);
});

test("a renewed token that is revoked ends the client", async () => {
  const token = vi.fn(() => tokenOf({ exp: 1_700_000_000 + 60 }));
  const { client, changes, socket } = await connected(token);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(socket.lines.at(-1)).toMatch(/^(token|keepalive)/);
  const asked = expect(client.info()).rejects.toMatchObject(REVOKED);
  socket.receive(`debug!error revoked token: ${WHY}`);
  await asked;
  expect(changes.at(-1)).toMatchObject({ state: "failed", code: 1008, willRetry: false });
  expect(socket.isClosed).toBe(true);
  expect(await staysAway(token, token)).toBe(true);
  expect(token).toHaveBeenCalledTimes(2);
});

test("neither wake-ups nor new calls reconnect a revoked client", { tags: ["client-revoked"] }, async () => {
  const { client, socket } = await connected("x.y.z");
  socket.end(1008, `revoked: ${WHY}`);
  const subscription = client.subscribe("c");
  await expect(subscription[Symbol.asyncIterator]().next()).rejects.toMatchObject(REVOKED);
  await expect(client.enter("c", "ann")).rejects.toMatchObject(REVOKED);
  await expect(client.ping()).rejects.toMatchObject(REVOKED);
  await client.leave("b");
  client.disconnect();
  expect(await staysAway(() => {})).toBe(true);
  expect(client.state).toBe("failed");
  client.setToken("new.y.z");
  // It has left `b` meanwhile.
  expect((await greet("debug!position a 7")).lines.join()).not.toContain("enter");
});

test("a list of members stays up to date after a new token", async () => {
  const { client, socket } = await connected("x.y.z");
  const members = client.members("a");
  await settle();
  expect(socket.lines).toContain("members a");
  socket.end(1008, `revoked: ${WHY}`);
  await settle();
  expect(members.state).toBe("subscribing");
  client.setToken("new.y.z");
  const next = await greet("debug!position a 7", "debug!position presence/a 3");
  next.receive("debug!members a 3 1", "debug!member a bob 1");
  await members.ready;
  expect([...members.current]).toEqual([["bob", "1"]]);
});

test("close() ends subscriptions and presences that wait for a new token", async () => {
  const { client, socket, subscriptions } = await connected("x.y.z");
  socket.end(1008, `revoked: ${WHY}`);
  await client.close();
  expect([client.state, subscriptions.at(-1)]).toEqual(["closed", ["unsubscribed", undefined, undefined]]);
  expect(() => client.setToken("new.y.z")).toThrow(WHY);
});

test("a listener may set a new token at once, and nothing pending fails", async () => {
  const { client, socket } = await connected("x.y.z");
  client.on("state", ({ state, reason }) => {
    if (state === "failed" && reason.startsWith("revoked:")) client.setToken(() => "new.y.z");
  });
  const announced = client.announce("a", "eight", { key: "k" });
  await settle();
  socket.end(1008, `revoked: ${WHY}`);
  const next = await greet("debug!position a 7");
  next.receive(TIME, "debug!once k 8");
  expect([await announced, next.protocols[1]]).toEqual([8, "new.y.z"]);
});

test("a new token replaces that of a connected client by a reconnect", async () => {
  const { client, socket, states, subscriptions } = await connected("old.y.z");
  client.setToken("new.y.z");
  expect([socket.isClosed, subscriptions.at(-1)]).toEqual([true, ["subscribing", undefined, undefined]]);
  const next = await greet("debug!position a 7");
  expect(next.protocols).toEqual(["fanout", "new.y.z"]);
  expect(next.lines).toContain("enter b ann 1");
  expect(states()).toEqual(["connecting", "connected", "connecting", "connected"]);
});

test("a client that is offline stays so with a new token, which it uses later", async () => {
  const { client } = await connected("old.y.z");
  client.disconnect();
  client.setToken("new.y.z");
  expect(await staysAway(() => {})).toBe(true);
  client.connect();
  expect((await greet()).protocols).toEqual(["fanout", "new.y.z"]);
});

test.each([undefined, null, "", "a b", 7, {}])("%j is refused as a new token, and changes nothing", async (token) => {
  const { client, socket } = await connected("old.y.z");
  const given: object = { token };
  expect(() => client.setToken(Reflect.get(given, "token"))).toThrow(/^the token is of type/);
  expect([client.state, socket.isClosed]).toEqual(["connected", false]);
});

test.each([
  ["the stream", { stream: `debug!error revoked connect: ${WHY}\n`, status: 200 }],
  ["the response to a subscription", { stream: undefined, status: 200 }],
  ["the response to an announcement", { stream: "debug!position a 7\n", status: 401 }],
])("without a WebSocket, %s says that the token was revoked", async (_, { stream, status }) => {
  const token = vi.fn(() => "x.y.z");
  const urls: string[] = [];
  const answer = (code: number, body: string) => ({
    status: code,
    headers: { get: (name: string) => (code === 401 && name === "Fanout-Error" ? "revoked" : null) },
    body: null,
    text: async () => body,
  });
  const fetch: FetchLike = async (url, { method }) => {
    urls.push(url);
    if (url.endsWith("/-/health")) return answer(200, "ok\n");
    if (method === "POST") return answer(status, status === 401 ? `${WHY}.` : '{"position": 8}');
    if (stream === undefined) return answer(401, `${WHY}.`);
    const chunks = [new TextEncoder().encode(stream)];
    const read = async () => ({ done: false, value: chunks.shift() ?? (await new Promise<never>(() => {})) });
    return { ...answer(200, ""), body: { getReader: () => ({ read }) } };
  };
  const environment = {
    ...environmentOf({}),
    WebSocket: undefined,
    loadRequests: async () => ({ RequestSocket }),
    fetch,
  };
  const changes: unknown[] = [];
  const client = new Client("https://host", { token, onState: (change) => void changes.push(change) }, environment);
  onTestFinished(() => client.close({ within: 0 }));
  client.subscribe("a");
  await settle();
  if (status === 401) client.announce("a", "x").catch(() => {});
  await settle();
  expect(changes.at(-1)).toEqual({ state: "failed", code: 401, reason: `revoked: ${WHY}`, willRetry: false });
  const count = urls.length;
  await vi.advanceTimersByTimeAsync(MINUTES);
  expect([urls.length, token.mock.calls.length]).toEqual([count, 1]);
});
