import { beforeAll, describe, expect, test } from "vitest";
import { perform } from "../conformance/case.ts";
import { plays } from "../conformance/transcripts.ts";
import { eventsOf, isForHttp } from "./support/http-wire.ts";
import { type Server, startServer } from "./support/server.ts";
import { wiresTo } from "./support/wire.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
  return server.stop;
});

describe("through wrangler dev", () => {
  for (const play of plays) test(play.title, () => perform(play, wiresTo(server.url)));
});

describe("by events and POST, through wrangler dev", () => {
  const some = plays.filter(isForHttp);
  test("there are some for that", () => expect(some.length).toBeGreaterThan(5));
  for (const play of some) test(play.title, () => perform(play, eventsOf(server.url)));
});
