import { beforeAll, describe, test } from "vitest";
import { PLAY_TIMEOUT, perform } from "../plays/play.ts";
import { plays } from "../plays/transcripts.ts";
import { type Server, startServer } from "./server.ts";
import { wiresTo } from "./wire.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
  return server.stop;
});

describe("through wrangler dev", { timeout: PLAY_TIMEOUT }, () => {
  for (const play of plays) test(play.title, () => perform(play, wiresTo(server.url)));
});
