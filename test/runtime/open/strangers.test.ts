/** How much strangers may have an open server do. */
import { exports } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import worker from "../../../src/worker.ts";
import { keys, settleQuickly, startAfresh, unique } from "../service.ts";

settleQuickly();

describe("an address is charged", () => {
  let addresses = 0;

  /** What becomes of requests of one address, one after another, on a server that allows 100 lines a second. */
  async function send(requests: [path: string, init?: RequestInit | undefined][]): Promise<number[]> {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    // Time stands still, so that nothing is paid back.
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

  test("ten lines for each connection, stream, poll, announcement and page that asks an object", async () => {
    const upgrade = { headers: { Upgrade: "websocket" } };
    const ways: [status: number, path: string, init?: RequestInit | undefined][] = [
      [101, `/${unique("room")}`, upgrade],
      [200, `/${unique("room")}`],
      // It keeps no history, which only the object knows.
      [400, `/${unique("room")}?poll`],
      [200, "/-/info"],
      [200, "/-/metrics"],
      [200, "/-/channels/news"],
    ];
    for (const [status, path, init] of ways) {
      expect(await send(times(11, [path, init]))).toEqual([...times(10, status), 429]);
    }
    // And one for each message.
    const post = { method: "POST", body: "1\n2\n3\n4\n5" };
    expect(await send(times(7, [`/${unique("room")}`, post]))).toEqual([...times(6, 200), 429]);
  });

  test("for each channel that a request names, so that one request can't have it make hundreds of rows for nothing", async () => {
    await startAfresh();
    const query = Array.from({ length: 250 }, (_, i) => `channel=stranger-${i}`).join("&");
    // It may, once: then the address has nothing left for 25 seconds.
    expect(await send([[`/news?${query}`], [`/other?${query}`], ["/news"]])).toEqual([200, 429, 429]);
    expect(await keys("other")).toEqual([]);
  });

  test("nothing for what takes no object", async () => {
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
