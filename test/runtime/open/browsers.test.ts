/** What browsers, and pages and apps in them, may ask of the server, and what they get to read. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import worker from "../../../src/worker.ts";
import { SECRET } from "../mint.ts";
import { settleQuickly, unique } from "../service.ts";

settleQuickly();

function ask(
  path: string,
  init: RequestInit = {},
  variables: Record<string, unknown> = {},
): Promise<Response> {
  const env = { CHANNEL: exports.Channel, ...variables };
  return worker.fetch(new Request(`http://fanout.test${path}`, init), env);
}

describe("headers are compared as HTTP defines them:", () => {
  test("what a client accepts", async () => {
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

  test("what to upgrade to", async () => {
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
    // Other protocols may be ignored, and are.
    expect((await ask("/", { headers: { Upgrade: "h2c" } })).status).toBe(200);
  });
});

test("an event stream resumes by its last event's id in the address, too", async () => {
  const headers = { Accept: "text/event-stream" };
  for (const name of ["lastEventId", "Last-Event-ID", "lastEventID"]) {
    const wrong = await ask(`/news?${name}=nonsense`, { headers });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining("'Last-Event-ID'")]);
  }
  const ended = await ask("/news?lastEventId=1.1", { headers }, { TOKEN_SECRET: SECRET });
  expect(ended.status).toBe(204);
});
