/** Announcing by HTTP: valid bodies, and all reasons for refusals. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { crash, evictAll, keys, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

/** Sends a POST, and returns the response. */
async function post(channel: string, body: BodyInit | null, headers: Record<string, string> = {}) {
  const request = { method: "POST", body, headers };
  const response = await exports.default.fetch(`http://fanout.test/${encodeURIComponent(channel)}`, request);
  return { status: response.status, said: await response.text(), headers: response.headers };
}

/** Returns the position in the response to a POST. */
async function placed(channel: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  const { status, said } = await post(channel, body, headers);
  expect([status, said]).toEqual([200, expect.stringContaining(`"channel":"${channel}"`)]);
  return Number(/"position":(\d+)/.exec(said)?.[1]);
}

describe("a body", () => {
  test.each([
    ["of one line", "hello", ["hello"]],
    ["with a final line end", "hello\n", ["hello"]],
    ["of several lines", "a\nb !c\n d", ["a", "b !c", " d"]],
    ["with Windows line ends", "a\r\nb\r\n", ["a", "b"]],
    ["that looks like commands", "ping\nannounce x y", ["ping", "announce x y"]],
  ])(
    "%s is as many messages, next to each other",
    { tags: ["post-together", "post-position"] },
    async (_, body, messages) => {
      const news = unique("news");
      const reader = await Client.connect(news);
      const first = await placed(news, "before");
      const { said } = await post(news, body);
      const position = first + messages.length;
      expect(said).toBe(`${JSON.stringify({ channel: news, position, count: messages.length })}\n`);
      const lines = [`${news}!before`, ...messages.map((message) => `${news}!${message}`)];
      expect(await reader.ping()).toEqual(lines);
    },
  );

  test("is delivered to subscribers at other objects, and counted once", async () => {
    const news = unique("news");
    const reader = await Client.connect(`${news}-home`);
    reader.send(`subscribe ${news} since now`);
    const position = Number((await reader.line()).split(" ")[2]);
    expect(await placed(news, "1\n2")).toBe(position + 2);
    await evictAll();
    expect(await placed(news, "3")).toBe(position + 3);
    expect([await reader.line(), await reader.line(), await reader.line()]).toEqual(
      ["1", "2", "3"].map((message) => `${news}!${message}`),
    );
  });

  const utf16 = { "Content-Type": "text/plain; charset=utf-16" };

  test.each<[what: string, status: number, code: string, body: BodyInit, headers: Record<string, string>, why: string]>(
    [
      ["nothing", 400, "invalid", "", {}, "A message is missing; send one per line."],
      ["an empty line", 400, "invalid", "a\n\nb", {}, "Line 2 is empty; a message has at least one character."],
      ["only an end of a line", 400, "invalid", "\r\n", {}, "Line 1 is empty; a message has at least one character."],
      ["what is not UTF-8", 400, "invalid", Uint8Array.of(0xff), {}, "The body isn't UTF-8; send UTF-8."],
      [
        "a long line",
        400,
        "limit",
        `a\n${"x".repeat(65_537)}`,
        {},
        "A line has at most 65536 bytes; split the message, or raise MAX_LINE_BYTES.",
      ],
      ["10,001 lines", 400, "limit", "a\n".repeat(10_001), {}, "A request announces at most 10000 messages."],
      ["a megabyte", 413, "limit", "x".repeat(1_000_001), {}, "A body has at most 1000000 bytes."],
      [
        "a form",
        415,
        "invalid",
        new FormData(),
        {},
        "A body is lines of text, not parts of a form; with curl, use -d instead of -F.",
      ],
      ["UTF-16", 415, "invalid", "a", utf16, "The body's charset isn't UTF-8; send UTF-8."],
      ["gzip", 415, "invalid", "a", { "Content-Encoding": "gzip" }, "The body is compressed; send it uncompressed."],
      [
        "JSON on several lines",
        400,
        "invalid",
        '{\n  "id": 7\n}',
        { "Content-Type": "application/json" },
        "The JSON has line breaks, but each line is a message; send it on one line.",
      ],
      ["a bad key", 400, "invalid", "a", { "Idempotency-Key": "a b" }, "A key has no space or control character."],
      [
        "an invalid position",
        400,
        "invalid",
        "a",
        { "If-Position": "x" },
        "'If-Position' takes a position, a whole number.",
      ],
    ],
  )(
    "with %s is refused with %i, a code and a message, and nothing is announced",
    { tags: ["status-413-415", "body-limit", "status-400"] },
    async (_, status, code, body, headers, why) => {
      const news = unique("news");
      const reader = await Client.connect(news);
      const refused = await post(news, body, headers);
      expect([refused.status, refused.said]).toEqual([status, `${why}\n`]);
      expect(refused.headers.get("Fanout-Error")).toBe(code);
      expect(await reader.ping()).toEqual([]);
    },
  );
});

test("a key announces once, even after a crash", { tags: ["post-key", "key-once"] }, async () => {
  const news = unique("news");
  const reader = await Client.connect(`${news}-home`);
  reader.send(`subscribe ${news}`);
  await reader.ping();
  const first = await placed(news, "a\nb", { "Idempotency-Key": '"k"' });
  await crash(news);
  // The first call after a crash may fail, and can be retried then.
  let again = await post(news, "a\nb", { "Idempotency-Key": "k" });
  while (again.status === 503) again = await post(news, "a\nb", { "Idempotency-Key": "k" });
  expect(again.said).toBe(`${JSON.stringify({ channel: news, position: first, count: 2 })}\n`);
  expect(await placed(news, "c")).toBe(first + 1);
  expect(await reader.ping()).toEqual([`${news}!a`, `${news}!b`, `${news}!c`]);
  // Connections share the keys, once their object has noticed the crash; the key covers all lines of the body.
  let answers: string[] = [];
  while (!answers.some((line) => line.startsWith("debug!error conflict once k: "))) {
    reader.send(`once k ${news} a`);
    answers = await reader.ping();
    for (const line of answers) expect(line).toMatch(/^debug!error (conflict|uncertain) once k: /);
  }
  const last = await placed(news, "d", { "Idempotency-Key": "l" });
  reader.send(`once l ${news} d`);
  expect(await reader.ping()).toEqual([`${news}!d`, `debug!once l ${last}`]);
});

test("of two requests with the same If-Position, only one announces", { tags: ["post-if-position"] }, async () => {
  const news = unique("news");
  const first = await placed(news, "a");
  const both = await Promise.all(["b", "c"].map((body) => post(news, body, { "If-Position": String(first) })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
  const refused = both.find(({ status }) => status === 412);
  expect(refused?.headers.get("Fanout-Position")).toBe(String(first + 1));
  expect(refused?.said).toBe(`The newest position is ${first + 1}.\n`);
  expect(refused?.headers.get("Fanout-Error")).toBe("conflict");
});

test("pages of other origins can read the responses, and send preflights", { tags: ["errors-readable"] }, async () => {
  const { headers } = await post(unique("news"), "a", { Origin: "https://example.com" });
  expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
  expect(headers.get("Access-Control-Expose-Headers")).toContain("Fanout-Error");
  const preflight = await exports.default.fetch("http://fanout.test/news", {
    method: "OPTIONS",
    headers: { Origin: "https://example.com", "Access-Control-Request-Method": "POST" },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("Access-Control-Allow-Methods")).toBe("GET, HEAD, POST, OPTIONS");
  expect(preflight.headers.get("Access-Control-Allow-Headers")).toContain("Idempotency-Key");
});

test("other methods get the list of methods", { tags: ["status-404-405"] }, async () => {
  const response = await exports.default.fetch("http://fanout.test/news", { method: "PUT", body: "a" });
  expect([response.status, response.headers.get("Allow")]).toEqual([405, "GET, HEAD, POST, OPTIONS"]);
  expect(response.headers.get("Fanout-Error")).toBe("invalid");
});

test("a channel without connections stores only the message", async () => {
  const news = unique("news");
  await placed(news, "a");
  await evictAll();
  expect(await keys(news)).toEqual(["history:0"]);
});
