import { beforeAll, describe, expect, test } from "vitest";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { eventsOf, isForHttp } from "./support/http-wire.ts";
import { type Server, startServer } from "./support/server.ts";
import { wiresTo } from "./support/wire.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
  return server.stop;
});

describe("through wrangler dev", () => {
  for (const testCase of cases) test(testCase.title, () => runCase(testCase, wiresTo(server.url)));
});

describe("over event streams and POST, through wrangler dev", () => {
  const applicable = cases.filter(isForHttp);
  test("several cases need no WebSocket", () => expect(applicable.length).toBeGreaterThan(5));
  for (const testCase of applicable) test(testCase.title, () => runCase(testCase, eventsOf(server.url)));
});
