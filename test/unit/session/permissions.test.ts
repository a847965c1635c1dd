/** Commands that a connection's grants, its rate or the server's settings refuse. */
import { expect, test } from "vitest";
import { objectOf } from "../object/object.ts";
import { Service } from "../object/service.ts";
import { settled } from "../settled.ts";

const guard = { keys: new Set(["key"]), verify: () => Promise.reject(new Error("no token is renewed in these tests")) };
const grants = { subscribe: ["*"], announce: ["own"], until: Number.MAX_SAFE_INTEGER, key: "key" };

test("messages are announced on granted channels only, with a key or without", async () => {
  const socket = await new Service({}, guard).connect("own", undefined, grants);
  expect(await socket.ask("announce news a")).toEqual([
    expect.stringMatching(/^debug!error forbidden announce news: /),
  ]);
  expect(await socket.ask("once k news b")).toEqual([expect.stringMatching(/^debug!error forbidden once k: /)]);
  expect(await socket.ask("announce own c")).toEqual(["own!c"]);
});

test("lists of members count as missed messages, by their size", async () => {
  const members = Array.from({ length: 1_500 }, (_, i) => ({ member: `${i}`, data: "x".repeat(990) }));
  let asked = 0;
  const others = {
    members: async () => {
      asked += 1;
      return { position: 1, members };
    },
  };
  const { broker, open } = objectOf({ others });
  const socket = await open();
  for (let i = 0; i < 5; i++) {
    broker.received(socket, "members news");
    await settled();
    socket.bufferedAmount = 0;
  }
  const refused = socket.lines.filter((line) => line.startsWith("debug!error rate members news: "));
  // The third list exceeds the 4,000,000 characters of one second.
  expect([asked, refused.length]).toEqual([3, 3]);
});

test("without a history, a client that resumes is subscribed, and learns that nothing is retained", async () => {
  const socket = await new Service({ HISTORY_SECONDS: "0" }).connect("home");
  const answer = await socket.ask("subscribe news since 5");
  expect(await socket.ask("announce news a")).toEqual(["news!a"]);
  expect(answer).toEqual([expect.stringMatching(/^debug!error no-history subscribe news: /)]);
});
