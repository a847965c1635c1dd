/** An open server's limits for anonymous clients. */
import { exports } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import worker from "../../../src/worker.ts";
import { Client } from "../support/client.ts";
import { sendAll } from "../support/connections.ts";
import { keys, resetService, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

describe("names of channels", () => {
  /** Returns the body of an operators' page. */
  async function page(path: string, variables: Record<string, string> = {}): Promise<string> {
    const request = new Request(`http://fanout.test${path}`);
    const response = await worker.fetch(request, { CHANNEL: exports.Channel, ...variables });
    return response.text();
  }

  test("aren't on any page, except those that the client names itself", async () => {
    const [news, secret] = [unique("news"), unique("secret")];
    const subscriber = await Client.connect(secret);
    await sendAll([subscriber], `subscribe ${news}`);
    for (const path of [`/-/channels/${news}`, "/-/channels/all", "/-/info", "/-/metrics", "/-/settings"]) {
      expect(await page(path)).not.toContain(secret);
    }
    const { objects, listeners } = JSON.parse(await page(`/-/channels/${news}`));
    expect(listeners).toBe(1);
    expect(objects).toEqual([
      { object: news, parent: null, listeners: 0, lag: 0 },
      { object: "object 2", parent: news, listeners: 1, lag: 0 },
    ]);
    expect(JSON.parse(await page(`/-/channels/${secret}`)).objects).toMatchObject([{ object: secret }]);
    await subscriber.close();
  });

  test("aren't in the public settings", async () => {
    const told = JSON.parse(await page("/-/settings", { HISTORY_CHANNELS: "secret, news/*" }));
    expect(told.settings).toMatchObject({ LINES_PER_SECOND: 10_000 });
    expect(told.settings).not.toHaveProperty("HISTORY_CHANNELS");
    expect(JSON.parse(await page("/-/settings")).settings).toMatchObject({ HISTORY_CHANNELS: "*" });
  });
});

describe("any request", () => {
  const junk = fc.oneof(
    fc.string(),
    fc.constantFrom("", '"', '",', ";q=0", "*", "null", "-1", "1e999", "9007199254740993", "%00", "%", "__proto__"),
    fc
      .array(fc.constantFrom('"', "\\", ",", ";", "=", " ", "text/html", "text/event-stream", "q", "0"))
      .map((all) => all.join("")),
  );
  const header = junk.map((text) => text.replace(/[^\x20-\x7e]/g, "?"));
  const names = [
    ...["Accept", "Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "If-Position", "Origin"],
    ...["Last-Event-ID", "Upgrade", "Sec-WebSocket-Protocol", "CF-Connecting-IP", "Access-Control-Request-Headers"],
    ...["Fanout-Grants", "Fanout-From", "Fanout-Full", "Fanout-Region", "Fanout-Place", "Fanout-Refused"],
  ];
  const fuzzed = fc.record({
    method: fc.constantFrom("GET", "HEAD", "POST", "OPTIONS", "PUT"),
    path: fc.oneof(
      fc.constantFrom("/", "/news", "/-/health", "/-/settings", "/-/info", "/-/channels/news"),
      junk.map((text) => `/${encodeURIComponent(text)}`),
    ),
    headers: fc.dictionary(fc.constantFrom(...names), header, { maxKeys: 4 }),
    query: fc.array(fc.tuple(fc.constantFrom("since", "last", "poll", "channel", "token", "lastEventId"), junk), {
      maxLength: 4,
    }),
    body: junk,
  });

  test("gets a response, with one message if it is refused", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    await fc.assert(
      fc.asyncProperty(fuzzed, async ({ method, path, headers, query, body }) => {
        const init = { method, headers, ...(method === "POST" || method === "PUT" ? { body } : {}) };
        const request = new Request(`http://fanout.test${path}?${new URLSearchParams(query)}`, init);
        const response = await worker.fetch(request, { CHANNEL: exports.Channel });
        response.webSocket?.accept();
        response.webSocket?.close();
        if (response.status < 400) return response.body?.cancel();
        expect(response.status).toBeLessThan(500);
        expect(response.headers.get("Fanout-Error")).toMatch(/^[a-z-]+$/);
        if (method !== "HEAD") expect(await response.text()).toMatch(/^['A-Z][^\n]*\.\n$/);
        return undefined;
      }),
      { numRuns: 500 },
    );
    expect(warned.mock.calls.filter(([line]) => String(line).includes("failures."))).toEqual([]);
    warned.mockRestore();
  });
});

describe("an address is charged", () => {
  let addresses = 0;

  /** Sends requests of one address to a server that allows 100 lines per second; returns their outcomes. */
  async function send(requests: [path: string, init?: RequestInit | undefined][]): Promise<number[]> {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    // The clock is stopped, so the bucket isn't refilled.
    vi.useFakeTimers({ toFake: ["Date"] });
    addresses += 1;
    const statuses: number[] = [];
    for (const [path, init = {}] of requests) {
      const headers = { ...init.headers, "CF-Connecting-IP": `2001:db8:${addresses.toString(16)}::1` };
      const request = new Request(`http://fanout.test${path}`, { ...init, headers });
      const env = { CHANNEL: exports.Channel, LINES_PER_SECOND: "100" };
      const response = await worker.fetch(request, env);
      statuses.push(response.status);
      response.webSocket?.accept();
      response.webSocket?.close();
      await response.body?.cancel();
      if (response.status === 429) {
        expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
        expect(response.headers.get("Fanout-Error")).toBe("rate");
      }
    }
    vi.useRealTimers();
    vi.restoreAllMocks();
    return statuses;
  }

  const times = <T>(count: number, of: T): T[] => Array<T>(count).fill(of);

  test("ten lines for each connection, stream, poll, announcement and page that calls an object", {
    tags: ["cost-open", "cost-announce", "cost-operators"],
  }, async () => {
    const upgrade = { headers: { Upgrade: "websocket" } };
    const ways: [status: number, path: string, init?: RequestInit | undefined][] = [
      [101, `/${unique("room")}`, upgrade],
      [200, `/${unique("room")}`],
      // The server has no history, which only the object knows.
      [400, `/${unique("room")}?poll`],
      [200, "/-/info"],
      [200, "/-/metrics"],
      [200, "/-/channels/news"],
    ];
    for (const [status, path, init] of ways) {
      expect(await send(times(11, [path, init]))).toEqual([...times(10, status), 429]);
    }
    // And one line for each message.
    const post = { method: "POST", body: "1\n2\n3\n4\n5" };
    expect(await send(times(7, [`/${unique("room")}`, post]))).toEqual([...times(6, 200), 429]);
  });

  test("for each channel that a request names, because each may cost rows", { tags: ["cost-open"] }, async () => {
    await resetService();
    const query = Array.from({ length: 250 }, (_, i) => `channel=stranger-${i}`).join("&");
    // Such a request is accepted once; then the address has to wait 25 seconds.
    expect(await send([[`/news?${query}`], [`/other?${query}`], ["/news"]])).toEqual([200, 429, 429]);
    expect(await keys("other")).toEqual([]);
  });

  test("nothing for requests that call no object", { tags: ["cost-nothing"] }, async () => {
    const free: [path: string, init?: RequestInit | undefined][] = [
      ["/"],
      ["/-/health"],
      ["/-/settings"],
      ["/news", { method: "OPTIONS" }],
      ["/news", { method: "HEAD" }],
      ["/c!1"],
    ];
    expect(new Set(await send(times(50, free).flat()))).toEqual(new Set([200, 204, 400]));
  });
});
