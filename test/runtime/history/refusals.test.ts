/** The same cause reads the same, by whichever way it comes in. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { sentenceOf } from "../../../src/protocol/refusals.ts";
import { Client } from "../client.ts";
import { settleQuickly, unique } from "../service.ts";

settleQuickly();

/** How a cause shows: each gives the words that a client reads. */
const ways = {
  command: async (line: string) => {
    const client = await Client.connect(unique("home"));
    client.send(line);
    const [said = ""] = await client.ping();
    return said.replace(/^debug!error /, "").replace(/; a longer one was ignored$/, "");
  },
  request: async (path: string, method = "GET", body: string | null = null, headers = {}) => {
    const response = await exports.default.fetch(`http://fanout.test${path}`, { method, body, headers });
    return response.text();
  },
  upgrade: (path: string) => ways.request(path, "GET", null, { Upgrade: "websocket" }),
  binding: (channel: string, messages: string | string[], key?: string) =>
    exports.Fanout.announce(channel, messages, key === undefined ? {} : { key }).then(
      () => "",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    ),
};

const LONG = "x".repeat(65_537);

describe("announcing", () => {
  test.each<[cause: string, why: string, line: string, channel: string, message: string, key?: string]>([
    ["no message", "a message is missing after the channel", "announce news", "news", ""],
    [
      "a channel that is none",
      "a channel name has no '!', space or control character",
      "announce a!b c",
      "a!b",
      "c",
    ],
    [
      "the server's own",
      "'debug' is the server's own voice, not a channel",
      "announce debug c",
      "debug",
      "c",
    ],
    [
      "a long key",
      "a key has at most 64 bytes",
      `once ${"k".repeat(65)} news c`,
      "news",
      "c",
      "k".repeat(65),
    ],
  ])("%s", async (_, why, line, channel, message, key) => {
    const whole = `cannot announce${key === undefined ? "" : " once"}: ${why}`;
    expect(await ways.command(line)).toBe(whole);
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    expect(await ways.request(`/${encodeURIComponent(channel)}`, "POST", message, headers)).toBe(
      `${sentenceOf(whole)}\n`,
    );
    expect(await ways.binding(channel, message === "" ? [] : message, key)).toBe(whole);
  });

  test("a long line", async () => {
    const why = "a line has at most 65536 bytes";
    expect(await ways.command(`announce news ${LONG}`)).toBe(why);
    expect(await ways.request("/news", "POST", LONG)).toContain(why);
    expect(await ways.binding("news", LONG)).toContain(why);
  });
});

describe("listening", () => {
  test.each([
    [
      "a channel that is none",
      "a channel name has no '!', space or control character",
      "subscribe a!b",
      "/a!b",
    ],
    [
      "a channel without an end",
      "a channel name has at most 255 bytes",
      `subscribe ${"n".repeat(256)}`,
      `/${"n".repeat(256)}`,
    ],
    [
      "no position",
      "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'",
      "subscribe news since x",
      "/news?since=x",
    ],
    [
      "no number",
      "'last' takes how many messages, a whole number from 1 to 9007199254740991",
      "subscribe news last 0",
      "/news?last=0",
    ],
  ])("%s", async (_, why, line, path) => {
    expect(await ways.command(line)).toBe(`cannot subscribe: ${why}`);
    for (const way of [ways.request, ways.upgrade]) {
      expect(await way(path)).toBe(`${sentenceOf(`cannot connect: ${why}`)}\n`);
    }
  });
});
