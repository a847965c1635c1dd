/** The client without a WebSocket. */
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Client } from "../../../src/client/client.ts";
import { type Environment, environmentOf } from "../../../src/client/environment.ts";
import type { Change, FetchLike } from "../../../src/client/fanout.ts";
import { RequestSocket } from "../../../src/client/requests.ts";
import { settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

/** Creates a client without a WebSocket. */
function clientWith(given: { fetch?: FetchLike; loadRequests?: Environment["loadRequests"] }) {
  const changes: Change[] = [];
  const environment = {
    ...environmentOf({}),
    loadRequests: async () => ({ RequestSocket }),
    fetch: () => new Promise<never>(() => {}),
    ...given,
    WebSocket: undefined,
  };
  const client = new Client("https://host", { onState: (change) => void changes.push(change) }, environment);
  onTestFinished(() => client.close({ within: 0 }));
  return { client, changes };
}

function responseOf(status: number, body: string, given: Record<string, string> = {}) {
  const headers = { get: (name: string) => given[name] ?? null };
  return { status, headers, body: null, text: async () => body };
}

test("if requests.ts can't be loaded, the connection fails, and a retry loads it again", async () => {
  const loadRequests = vi.fn(async () => {
    if (loadRequests.mock.calls.length < 3) throw new TypeError("error loading dynamically imported module");
    return { RequestSocket };
  });
  const fetch: FetchLike = async () => responseOf(200, "ok\n");
  const { client, changes } = clientWith({ loadRequests, fetch });
  client.connect();
  await settle();
  expect(changes.at(-1)).toEqual({
    state: "disconnected",
    code: 0,
    reason: "error loading dynamically imported module",
    willRetry: true,
  });
  await vi.advanceTimersByTimeAsync(5_000);
  expect([client.state, loadRequests.mock.calls.length]).toEqual(["connected", 3]);
});

test("if requests.ts never loads, the attempt times out and is retried", async () => {
  const loadRequests = vi.fn(() => new Promise<never>(() => {}));
  const { client, changes } = clientWith({ loadRequests });
  client.connect();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(changes.at(-1)).toMatchObject({ state: "disconnected", willRetry: true });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(loadRequests).toHaveBeenCalledTimes(2);
});

test.each([
  [429, "rate"],
  [503, "unavailable"],
])(
  "an announcement refused with %i is retried after Retry-After, in order",
  { tags: ["client-retries", "retry-after"] },
  async (status, code) => {
    const posts: string[] = [];
    const fetch: FetchLike = async (_, { method, body = "" }) => {
      if (method === "GET") return responseOf(200, "ok\n");
      posts.push(body);
      const headers = { "Fanout-Error": code, "Retry-After": "30" };
      if (posts.length === 1) return responseOf(status, "Not now.", headers);
      return responseOf(200, JSON.stringify({ position: posts.length }));
    };
    const { client } = clientWith({ fetch });
    const announced = [client.announce("a", "x"), client.announce("a", "y"), client.announce("b", "z")];
    await vi.advanceTimersByTimeAsync(29_000);
    expect(posts).toEqual(["x"]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await Promise.all(announced)).toEqual([3, 4, 2]);
    expect(posts).toEqual(["x", "z", "x", "y"]);
  },
);

test("a refused token ends the connection; a refused fixed token ends the client", async () => {
  const fetch: FetchLike = async (url) =>
    url.endsWith("/-/health")
      ? responseOf(200, "ok\n")
      : responseOf(401, "The token has expired.", { "Fanout-Error": "expired" });
  const { client, changes } = clientWith({ fetch });
  await expect(client.announce("a", "x")).rejects.toMatchObject({ code: "uncertain" });
  expect(changes.at(-1)).toMatchObject({
    state: "failed",
    code: 401,
    reason: "expired: the token has expired",
  });
});

test("without streamed responses a subscription fails at once, with a remedy", async () => {
  const fetch: FetchLike = async () => responseOf(200, "ok\n");
  const { client } = clientWith({ fetch });
  const states: string[] = [];
  client.subscribe("news", { onState: (state, reason) => void states.push(`${state} ${reason ?? ""}`) });
  await settle();
  expect(states.at(-1)).toMatch(/^unsubscribed .*this `fetch` can't stream a response; pass a `WebSocket`/);
});

/** Returns a stream that sends some lines, and stays open. */
function streamOf(...lines: string[]) {
  const chunks = [new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""))];
  const read = async () => ({ done: false, value: chunks.shift() ?? (await new Promise<never>(() => {})) });
  return { ...responseOf(200, ""), body: { getReader: () => ({ read }) } };
}

test("a Retry-After of an hour delays an announcement by 45 seconds at most, and keeps the connection", async () => {
  let posts = 0;
  const fetch: FetchLike = async (_, { method }) => {
    if (method === "GET") return responseOf(200, "ok\n");
    posts += 1;
    const headers = { "Fanout-Error": "unavailable", "Retry-After": "3600" };
    return posts === 1 ? responseOf(503, "Not now.", headers) : responseOf(200, '{"position": 7}');
  };
  const { client, changes } = clientWith({ fetch });
  const announced = client.announce("a", "x");
  await vi.advanceTimersByTimeAsync(44_000);
  expect(posts).toBe(1);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(posts).toBe(2);
  expect(await announced).toBe(7);
  expect(changes.map(({ state }) => state)).toEqual(["connecting", "connected"]);
});

test("a stream that is silent for 30 seconds is left, and resumed", async () => {
  const asked: string[] = [];
  const fetch: FetchLike = async (url) => {
    if (url.endsWith("/-/health")) return responseOf(200, "ok\n");
    asked.push(new URL(url).search);
    return streamOf("debug!position a 7", ...(asked.length === 1 ? ["a!x"] : []));
  };
  const { client } = clientWith({ fetch });
  const subscription = client.subscribe("a");
  await vi.advanceTimersByTimeAsync(29_000);
  expect([subscription.state, asked]).toEqual(["subscribed", ["?since=now"]]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(subscription.state).toBe("subscribing");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual(["?since=now", "?since=8"]);
});

test("a stream is left when a line has 16,000,000 characters and no end", async () => {
  let asked = 0;
  const fetch: FetchLike = async (url) => {
    if (url.endsWith("/-/health")) return responseOf(200, "ok\n");
    asked += 1;
    const endless = "x".repeat(16_000_001);
    const pieces = [asked === 1 ? `debug!position a 7\na!${endless}` : "debug!position a 7\n", "x"];
    const read = async () => {
      const piece = pieces.shift();
      if (piece === undefined || asked > 1) await new Promise<never>(() => {});
      return { done: false, value: new TextEncoder().encode(piece) };
    };
    return { ...responseOf(200, ""), body: { getReader: () => ({ read }) } };
  };
  const { client } = clientWith({ fetch });
  const subscription = client.subscribe("a");
  await vi.advanceTimersByTimeAsync(100);
  expect([subscription.state, subscription.position]).toEqual(["subscribing", 7]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toBe(2);
});

test("members are listed page by page, with the position of the first page", async () => {
  const pages: Record<string, unknown> = {
    "?members": { position: 7, members: [{ member: "ann" }, { member: "bob&", data: "x  y" }], next: "bob&" },
    "?members&after=bob%26": { position: 8, members: [{ member: "carl", data: "1" }] },
  };
  const asked: string[] = [];
  const fetch: FetchLike = async (url) => {
    const { pathname, search } = new URL(url);
    if (pathname === "/-/health") return responseOf(200, "ok\n");
    asked.push(pathname + search);
    if (search.startsWith("?since=")) return streamOf("debug!position presence/a 7", "presence/a!enter carl 1");
    return responseOf(200, JSON.stringify(pages[search]));
  };
  const { client } = clientWith({ fetch });
  const members = client.members("a");
  const changes: string[] = [];
  members.on("added", ({ member }) => void changes.push(member));
  await members.ready;
  await vi.advanceTimersByTimeAsync(100);
  const parameters = ["since=now", "members", "members&after=bob%26", "since=7"];
  expect(asked).toEqual(parameters.map((each) => `/presence%2Fa?${each}`));
  expect([...members.current]).toEqual([
    ["ann", ""],
    ["bob&", "x  y"],
    ["carl", "1"],
  ]);
  expect([changes, members.state]).toEqual([["ann", "bob&", "carl"], "subscribed"]);
});

test.each([
  [responseOf(403, "Your token doesn't grant this.", { "Fanout-Error": "forbidden" }), "forbidden"],
  [responseOf(400, "This server has no presence.", { "Fanout-Error": "no-history" }), "no-history"],
])("a refused list ends the roster", async (response, code) => {
  const fetch: FetchLike = async (url) => {
    if (url.endsWith("/-/health")) return responseOf(200, "ok\n");
    return url.endsWith("?members") ? response : streamOf("debug!position presence/a 7");
  };
  await expect(clientWith({ fetch }).client.members("a").ready).rejects.toMatchObject({ code });
});

test("a page of a proxy is no list; the request is repeated", async () => {
  let count = 0;
  const fetch: FetchLike = async (url) => {
    if (url.endsWith("/-/health")) return responseOf(200, "ok\n");
    if (!url.endsWith("?members")) return streamOf("debug!position presence/a 7");
    count += 1;
    return responseOf(200, count === 1 ? "<html>log in</html>" : '{"position": 7, "members": []}');
  };
  const members = clientWith({ fetch }).client.members("a");
  await vi.advanceTimersByTimeAsync(2_000);
  expect([count, members.state]).toEqual([2, "subscribed"]);
});

test("without a WebSocket the client can't enter, and leaving does nothing", {
  tags: ["client-no-presence"],
}, async () => {
  const fetch: FetchLike = async () => responseOf(200, "ok\n");
  const { client } = clientWith({ fetch });
  await expect(client.enter("a", "ann")).rejects.toMatchObject({
    code: "unavailable",
    message: "presence needs a WebSocket",
  });
  await client.leave("a");
});
