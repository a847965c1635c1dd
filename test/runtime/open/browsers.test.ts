/** Requests of browsers, pages and apps, and the responses that they can read. */
import { exports } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { mount } from "../../../src/mount.ts";
import { VERSION } from "../../../src/version.ts";
import worker from "../../../src/worker.ts";
import { mint, SECRET } from "../support/mint.ts";
import { settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const PAGE = "https://page.test";

function ask(path: string, init: RequestInit = {}, variables: Record<string, unknown> = {}): Promise<Response> {
  const env = { CHANNEL: exports.Channel, ...variables };
  return worker.fetch(new Request(`http://fanout.test${path}`, init), env);
}

/** Returns the origin with which a response is shared. */
function shared({ headers }: Response): string | null {
  return headers.get("Access-Control-Allow-Origin");
}

describe("a preflight", () => {
  function preflight(asked: string | undefined): Promise<Response> {
    const headers: Record<string, string> = { Origin: PAGE, "Access-Control-Request-Method": "GET" };
    if (asked !== undefined) headers["Access-Control-Request-Headers"] = asked;
    return ask("/news", { method: "OPTIONS", headers });
  }

  test.each([
    "cache-control,last-event-id",
    "traceparent, tracestate, baggage, sentry-trace, x-b3-traceid",
    "authorization",
    "X-Requested-With",
  ])("allows a page the headers that it asks for: %s", async (asked) => {
    const response = await preflight(asked);
    expect([response.status, shared(response)]).toEqual([204, "*"]);
    const allowed = response.headers.get("Access-Control-Allow-Headers")?.split(", ");
    expect(allowed).toEqual(asked.split(",").map((name) => name.trim()));
    expect(response.headers.get("Vary")).toContain("Access-Control-Request-Headers");
  });

  test("allows the server's own headers if it names none, or an invalid one", async () => {
    for (const asked of [undefined, "", " , ", "a b", "a:b", "x".repeat(101)]) {
      const { headers } = await preflight(asked);
      expect(headers.get("Access-Control-Allow-Headers")).toContain("Idempotency-Key");
    }
    const many = Array.from({ length: 1_000 }, (_, i) => `x-${i}`).join(",");
    const { headers } = await preflight(`${many}, more`);
    expect(headers.get("Access-Control-Allow-Headers")?.split(", ")).toHaveLength(100);
  });

  test.each([
    ["the settings are wrong", { LINES_PER_SECOND: "x" }, "*"],
    ["the origin isn't allowed", { ALLOWED_ORIGINS: "https://other.test" }, PAGE],
  ])("succeeds even if %s, so that pages can read the error", async (_, variables, origin) => {
    const headers = { Origin: PAGE, "Access-Control-Request-Headers": "authorization" };
    const response = await ask("/news", { method: "OPTIONS", headers }, variables);
    expect([response.status, shared(response)]).toEqual([204, origin]);
  });
});

describe("pages can read why they are refused:", () => {
  test.each<[what: string, status: number, path: string, init: RequestInit, variables: Record<string, unknown>]>([
    ["no channel", 400, "/c!1", {}, {}],
    ["no token", 401, "/news", {}, { TOKEN_SECRET: SECRET }],
    ["another method", 405, "/news", { method: "PUT" }, {}],
    ["no page", 404, "/-/nothing", {}, {}],
    ["wrong settings", 500, "/news", {}, { LINES_PER_SECOND: "x" }],
    ["no binding", 500, "/news", { method: "POST", body: "x" }, { CHANNEL: undefined }],
    ["another origin", 403, "/news", {}, { ALLOWED_ORIGINS: "https://other.test" }],
  ])("%s (%i)", async (_, status, path, init, variables) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const response = await ask(path, { ...init, headers: { Origin: PAGE } }, variables);
    vi.restoreAllMocks();
    expect(response.status).toBe(status);
    expect([PAGE, "*"]).toContain(shared(response));
    expect(response.headers.get("Access-Control-Expose-Headers")).toContain("Fanout-Error");
    expect(response.headers.get("Fanout-Error")).toMatch(/^[a-z-]+$/);
    expect(await response.text()).toMatch(/^[A-Z].*\.\n$/);
  });

  test("an unexpected error, whose cause is in the log, without the token", { tags: ["status-500"] }, async () => {
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line) => lines.push(String(line)));
    const token = await mint();
    const broken = Object.defineProperty({ CHANNEL: exports.Channel }, "BROKEN", {
      enumerable: true,
      get: () => {
        throw new Error(`something about ${token}`);
      },
    });
    for (const [method, code] of [
      ["GET", "unavailable"],
      ["POST", "uncertain"],
    ] as const) {
      const init = { method, headers: { Origin: PAGE } };
      const response = await worker.fetch(new Request(`http://fanout.test/news?token=${token}`, init), broken);
      expect([response.status, shared(response)]).toEqual([500, "*"]);
      expect(response.headers.get("Fanout-Error")).toBe(code);
      expect(await response.text()).toMatch(/^An unexpected error occurred/);
    }
    vi.restoreAllMocks();
    const logged = lines.filter((line) => line.includes("failures.request"));
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("something about <token>");
    expect(logged[0]).not.toContain(token);
  });
});

describe("origins", () => {
  const origins = [
    ...["https://page.test", "http://localhost:5173", "http://tauri.localhost", "null", "file://"],
    ...["tauri://localhost", "capacitor://localhost", "ionic://localhost", "app://.", "app://obsidian.md"],
    ...["chrome-extension://abcdefghijklmnopabcdefghijklmnop", "vscode-webview://0abc"],
    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    "safari-web-extension://4F2B9F3C-1B2C-4E5D-9F0A-0123456789AB",
  ];

  test.each(origins)("of pages, apps and extensions can be listed: %s", async (origin) => {
    for (const ALLOWED_ORIGINS of [origin, `https://other.test, ${origin}`]) {
      const allowed = await ask("/", { headers: { Origin: origin } }, { ALLOWED_ORIGINS });
      expect([allowed.status, shared(allowed)]).toEqual([200, origin]);
      const denied = await ask("/", { headers: { Origin: "https://evil.test" } }, { ALLOWED_ORIGINS });
      expect(denied.status).toBe(403);
    }
  });

  test("are all allowed by '*'", async () => {
    const response = await ask("/", { headers: { Origin: PAGE } }, { ALLOWED_ORIGINS: "*" });
    expect([response.status, shared(response)]).toEqual([200, "*"]);
  });
});

describe("a server inside another Worker", () => {
  async function visit(origin: string | undefined, variables: Record<string, string> = {}): Promise<Response> {
    const headers: Record<string, string> = origin === undefined ? {} : { Origin: origin };
    const request = new Request("https://site.test/live/", { headers });
    const response = await mount("/live", request, { CHANNEL: exports.Channel, ...variables });
    if (!response) throw new Error("it is below the prefix");
    return response;
  }

  test("accepts only pages of its own origin, and clients without one", { tags: ["mount-origins"] }, async () => {
    for (const origin of [undefined, "https://site.test"]) expect((await visit(origin)).status).toBe(200);
    expect(shared(await visit("https://site.test"))).toBe("https://site.test");
    for (const origin of ["http://site.test", "https://site.test:8443", "https://a.site.test", "null", ""])
      expect([origin, (await visit(origin)).status]).toEqual([origin, 403]);
  });

  test("also accepts listed origins, or all", async () => {
    const listed = { ALLOWED_ORIGINS: PAGE };
    for (const origin of [PAGE, "https://site.test"]) expect((await visit(origin, listed)).status).toBe(200);
    expect((await visit("https://evil.test", listed)).status).toBe(403);
    expect((await visit("https://evil.test", { ALLOWED_ORIGINS: "*" })).status).toBe(200);
  });

  test("throws if its prefix isn't valid", () => {
    const env = { CHANNEL: exports.Channel };
    const request = new Request("https://site.test/live/news");
    for (const prefix of ["live", "/live/", "/live?x", "//"]) {
      expect(() => mount(prefix, request, env)).toThrow("use a path such as '/live'");
    }
    expect(mount("/other", request, env)).toBeUndefined();
    expect(mount("/live/new", request, env)).toBeUndefined();
  });

  test.each(["/", ""] as const)("answers all requests with the prefix '%s'", async (prefix) => {
    const env = { CHANNEL: exports.Channel };
    const ask = (path: string, init?: RequestInit) => mount(prefix, new Request(`https://site.test${path}`, init), env);
    expect(await (await ask("/-/health")).text()).toBe("ok\n");
    expect((await ask(`/${unique("root")}`, { method: "POST", body: "hello" })).status).toBe(200);
    expect(await (await ask("/")).text()).toContain("This is Fanout");
  });
});

describe("headers are parsed as HTTP defines them:", () => {
  test("Accept", async () => {
    for (const Accept of ["TEXT/EVENT-STREAM", "text/plain;q=0.5, text/event-stream"]) {
      const response = await ask(`/${unique("news")}`, { method: "HEAD", headers: { Accept } });
      expect(response.headers.get("Content-Type")).toBe("text/event-stream");
    }
    const refused = await ask(`/${unique("news")}`, {
      method: "HEAD",
      headers: { Accept: "text/event-stream;q=0" },
    });
    expect(refused.headers.get("Content-Type")).toMatch(/^text\/plain/);
    const page = await ask("/news", { headers: { Accept: "application/json;q=0.9, Text/HTML" } });
    expect(page.headers.get("Content-Type")).toMatch(/^text\/html/);
  });

  test.each<[status: number, headers: Record<string, string>]>([
    [200, { "Content-Type": 'Text/Plain; Charset="UTF-8"' }],
    [200, { "Content-Type": 'text/plain; note="charset=utf-16"' }],
    [200, { "Content-Encoding": "Identity" }],
    [200, { "Content-Encoding": "identity, identity" }],
    [415, { "Content-Type": 'text/plain; CHARSET="utf-16"' }],
    [415, { "Content-Type": "Multipart/Form-Data; boundary=x" }],
    [415, { "Content-Encoding": "identity, GZIP" }],
  ])("a body is answered %i with %o", async (status, headers) => {
    expect((await ask(`/${unique("news")}`, { method: "POST", body: "x", headers })).status).toBe(status);
  });

  test("Upgrade", async () => {
    for (const Upgrade of ["websocket", "WebSocket"]) {
      const response = await ask(`/${unique("news")}`, { headers: { Upgrade } });
      expect(response.status).toBe(101);
      response.webSocket?.accept();
      response.webSocket?.close();
    }
    for (const Upgrade of ["websocket, h2c", "h2c,WebSocket", "websocket/13"]) {
      const response = await ask(`/${unique("news")}`, { headers: { Upgrade } });
      expect([response.status, response.headers.get("Upgrade")]).toEqual([426, "websocket"]);
    }
    // The server may ignore other protocols.
    expect((await ask("/", { headers: { Upgrade: "h2c" } })).status).toBe(200);
  });
});

test("an event stream also resumes by its last event's id in the query", { tags: ["events-last-id"] }, async () => {
  const headers = { Accept: "text/event-stream" };
  for (const name of ["lastEventId", "Last-Event-ID", "lastEventID"]) {
    const wrong = await ask(`/news?${name}=nonsense`, { headers });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining("'Last-Event-ID'")]);
  }
  const ended = await ask("/news?lastEventId=1.1", { headers }, { TOKEN_SECRET: SECRET });
  expect(ended.status).toBe(204);
});

describe("the client library, /-/client.js,", () => {
  const CLIENT = "/-/client.js";

  test("is a module with the server's version, which caches can store and pages of any origin import", async () => {
    for (const headers of [{}, { Origin: PAGE }]) {
      const response = await ask(CLIENT, { headers });
      expect(response.status).toBe(200);
      expect(shared(response)).toBe("*");
      expect(response.headers.get("Content-Type")).toBe("text/javascript; charset=utf-8");
      expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(response.headers.get("Cache-Control")).toBe("public, max-age=3600");
      expect(response.headers.get("Fanout-Version")).toBe(VERSION);
      expect(response.headers.get("ETag")).toMatch(/^"[!#-~]+"$/);
      expect(response.headers.get("ETag")).toContain(VERSION);
      expect(response.headers.get("Vary")).toBeNull();
      expect(await response.text()).toMatch(
        new RegExp(`^/\\* Client library of Fanout ${VERSION}, MIT license \\*/\n`),
      );
    }
    const read = await ask(CLIENT, { headers: { Origin: PAGE } });
    expect(read.headers.get("Access-Control-Expose-Headers")).toContain("Fanout-Version");
  });

  test("is not sent again to clients that have it, also if a proxy has made the tag weak", async () => {
    const tag = (await ask(CLIENT)).headers.get("ETag") ?? "";
    for (const held of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
      const response = await ask(CLIENT, { headers: { "If-None-Match": held } });
      expect([response.status, await response.text(), response.headers.get("ETag")]).toEqual([304, "", tag]);
      expect(response.headers.get("Cache-Control")).toBe("public, max-age=3600");
      expect(shared(response)).toBe("*");
    }
    for (const held of ["", '"other"', tag.slice(1), `${tag.slice(0, -1)}x"`]) {
      expect((await ask(CLIENT, { headers: { "If-None-Match": held } })).status).toBe(200);
    }
  });

  test.each<[what: string, variables: Record<string, unknown>]>([
    ["the server requires tokens", { TOKEN_SECRET: SECRET }],
    ["the server allows other origins only", { ALLOWED_ORIGINS: "https://other.test" }],
    ["the console is off", { CONSOLE: "off" }],
    ["the settings are wrong", { LINES_PER_SECOND: "x" }],
    ["the binding is missing", { CHANNEL: undefined }],
  ])("is public, even if %s", async (_, variables) => {
    const response = await ask(CLIENT, { headers: { Origin: PAGE } }, variables);
    expect([response.status, shared(response)]).toEqual([200, "*"]);
  });

  test("is below the path of a mounted server", async () => {
    const env = { CHANNEL: exports.Channel };
    const response = await mount("/live", new Request(`http://fanout.test/live${CLIENT}`), env);
    expect([response?.status, response?.headers.get("Fanout-Version")]).toEqual([200, VERSION]);
  });

  test("answers HEAD without a body, OPTIONS with the methods, and refuses others", async () => {
    const get = await ask(CLIENT);
    const head = await ask(CLIENT, { method: "HEAD" });
    expect([head.status, head.headers.get("ETag")]).toEqual([200, get.headers.get("ETag")]);
    const options = await ask(CLIENT, { method: "OPTIONS", headers: { Origin: PAGE } });
    expect([options.status, options.headers.get("Allow"), shared(options)]).toEqual([204, "GET, HEAD, OPTIONS", "*"]);
    for (const method of ["POST", "PUT", "DELETE", "PURGE"]) {
      const response = await ask(CLIENT, { method, headers: { Origin: PAGE } });
      expect([response.status, response.headers.get("Allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
      expect([shared(response), response.headers.get("Fanout-Error")]).toEqual(["*", "invalid"]);
      expect(await response.text()).toBe("Only GET is allowed here.\n");
    }
  });

  test("has no other addresses", async () => {
    for (const path of ["/-/client.js/", "/-/client", "/-/Client.js", "/client.js/-/"]) {
      expect((await ask(path, { method: "HEAD" })).headers.get("Content-Type")).not.toMatch(/javascript/);
    }
  });
});
