import { beforeAll, describe, expect, test } from "vitest";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { eventStreamsTo, isForHttp } from "./support/event-streams.ts";
import { type Server, startServer } from "./support/server.ts";
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
