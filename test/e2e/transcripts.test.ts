import { beforeAll, describe, expect, test } from "vitest";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { eventStreamsTo, isForHttp } from "./support/event-streams.ts";
import { type Server, startServer } from "./support/server.ts";
import { refusal } from "./support/test-client.ts";
import { webSocketsTo } from "./support/websockets.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
  return server.stop;
});

describe("through wrangler dev", () => {
  for (const testCase of cases) test(testCase.title, () => runCase(testCase, webSocketsTo(server.url)));
});

describe("over event streams and POST, through wrangler dev", () => {
  const applicable = cases.filter(isForHttp);
  test("several cases need no WebSocket", () => expect(applicable.length).toBeGreaterThan(5));
  for (const testCase of applicable) test(testCase.title, () => runCase(testCase, eventStreamsTo(server.url)));
});

describe("without an upgrade", () => {
  test("/ returns the welcome page", async () => {
    const response = await fetch(server.url);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toMatch(/^text\//);
    expect(await response.text()).toMatch(/WebSocket/);
  });

  test.each(["/x", "/a/b", "/caf%C3%A9", "/__proto__"])("%s returns it to browsers too", async (path) => {
    const response = await fetch(server.url + path, { headers: { Accept: "text/html,*/*" } });
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(/WebSocket/);
  });
});

describe("a path without a valid channel is refused with the reason", () => {
  test.each([
    ["with '!'", "/c!1", /'!'/],
    ["with '!', encoded", "/c%211", /'!'/],
    ["with a space", "/a%20b", /space/],
    ["with a line end", "/%0a", /control character/],
    ["with a control character beyond ASCII", "/%C2%85", /control character/],
    ["the reserved name", "/debug", /'debug'/],
    ["the reserved name, encoded", "/%64ebug", /'debug'/],
    ["broken encoding", "/%", /percent-encoded/],
    ["not UTF-8", "/%FF", /percent-encoded/],
    ["256 letters", `/${"n".repeat(256)}`, /255 bytes/],
    ["128 letters of two bytes", `/${"%C3%A9".repeat(128)}`, /255 bytes/],
  ])("%s", async (_, path, why) => {
    const response = await fetch(server.url + path);
    const said = await response.text();
    expect(response.status).toBe(400);
    expect(said).toMatch(/^[A-Z'].*\.\n$/);
    expect(said).toMatch(why);
    expect(await refusal(server.url + path)).toEqual({ status: 400, body: said });
  });
});
