/** A wrong deployment reports on every path what is missing. */
import { describe, expect, test } from "vitest";
import { type Served, serveInTest } from "./support/serve.ts";
import { type Refusal, refusal } from "./support/test-client.ts";

/** Another class of objects. */
const OTHER_CLASS = `import { DurableObject } from "cloudflare:workers";
export { default } from "./worker.js";
export class Channel extends DurableObject { async fetch() { return new Response("hello"); } }`;

const faults: [what: string, options: Parameters<typeof serveInTest>[0], says: RegExp][] = [
  ["no binding to its objects", { lacks: "binding" }, /the binding CHANNEL is missing/],
  [
    "another kind of binding",
    { lacks: "binding", settings: { CHANNEL: "text" } },
    /the binding CHANNEL isn't a Durable Object namespace/,
  ],
  ["objects of another class", { around: OTHER_CLASS }, /the binding CHANNEL leads to another class/],
  ["a class without a migration", { lacks: "sqlite" }, /'Channel' has no SQLite storage.*\[\[migrations\]\]/],
];

/** Different requests. */
const ways: Record<string, (server: Served) => Promise<Refusal>> = {
  "its health": (server) => ask(server, "/-/health"),
  "its figures": (server) => ask(server, "/-/info"),
  "its metrics": (server) => ask(server, "/-/metrics"),
  "a channel's tree": (server) => ask(server, "/-/channels/news"),
  "a stream": (server) => ask(server, "/news"),
  events: (server) => ask(server, "/news", { headers: { Accept: "text/event-stream" } }),
  "missed messages": (server) => ask(server, "/news?poll"),
  "an announcement": (server) => ask(server, "/news", { method: "POST", body: "hello" }),
  "a connection": (server) => refusal(`${server.url}/news`),
};

async function ask({ url }: Served, path: string, init: RequestInit = {}) {
  const response = await fetch(url.replace("ws:", "http:") + path, init);
  expect(response.headers.get("Fanout-Error")).toBe("unavailable");
  expect(response.headers.get("Retry-After")).toBeNull();
  return { status: response.status, body: await response.text() };
}

describe.each(faults)("a server with %s", (_, options, says) => {
  test("reports it in every response, and in its log", async () => {
    const logged: string[] = [];
    const server = await serveInTest({ ...options, onLine: (line) => logged.push(line) });
    for (const [what, way] of Object.entries(ways)) {
      const { status, body } = await way(server);
      expect([what, status]).toEqual([what, 500]);
      expect(body).toMatch(/^This server's settings are wrong: [^\n]*\.\n$/);
      expect(body).toMatch(says);
      expect(body).not.toMatch(/later|again/);
    }
    expect(logged.filter((line) => line.includes("failures.settings")).length).toBe(1);
  });
});

test("a server with busy objects is healthy", async () => {
  const around = `export { default, Channel as Busy } from "./worker.js";
import { Channel as Right } from "./worker.js";
export class Channel extends Right { call() { throw Object.assign(new Error("busy"), { overloaded: true }); } }`;
  const { url } = await serveInTest({ around });
  const response = await fetch(`${url.replace("ws:", "http:")}/-/health`);
  expect([response.status, await response.text()]).toEqual([200, "ok\n"]);
});
