/** Each error has the same code and message in all transports. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { sentenceOf } from "../../../src/protocol/errors.ts";
import { Client } from "../support/client.ts";
import { failure, intercept, settleQuickly, unique } from "../support/service.ts";
import { EVENTS, StreamReader } from "../support/stream-reader.ts";

settleQuickly();

/** Returns the status, code, message and `Retry-After` of a refusal. */
async function request(path: string, init: RequestInit = {}) {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  const { headers, status } = response;
  const [code, retryAfter] = [headers.get("Fanout-Error"), headers.get("Retry-After")];
  return { status, code, said: await response.text(), retryAfter };
}

/** Returns what `request` returns for a refusal. */
function refusal(status: number, code: string, why: string, retryAfter: string | null = null) {
  return { status, code, said: `${sentenceOf(why)}\n`, retryAfter };
}

function post(channel: string, body: string, headers: Record<string, string> = {}) {
  return request(`/${encodeURIComponent(channel)}`, { method: "POST", body, headers });
}

/** Returns the reply to a command. */
async function command(line: string): Promise<string | undefined> {
  const client = await Client.connect(unique("home"));
  client.send(line);
  const [said] = await client.ping();
  return said;
}

/** Returns the exception that another Worker catches, with the properties that cross a service binding. */
async function caught(channel: string, messages: string | string[], key?: string): Promise<unknown> {
  const options = key === undefined ? {} : { key };
  const error = await exports.Fanout.announce(channel, messages, options).catch((thrown: unknown) => thrown);
  if (!(error instanceof Error)) throw new Error("it was announced");
  return [Reflect.get(error, "code"), error.message];
}

const K65 = "k".repeat(65);

describe("announcing", () => {
  test.each<[code: string, why: string, head: string, line: string, channel: string, key?: string]>([
    [
      "invalid",
      "a channel name has no '!', space or control character; use '-' instead",
      "announce a!b",
      "announce a!b c",
      "a!b",
    ],
    [
      "invalid",
      "'debug' is reserved for the server; use another channel",
      "announce debug",
      "announce debug c",
      "debug",
    ],
    ["invalid", "a key has at most 64 bytes", `once ${K65}`, `once ${K65} news c`, "news", K65],
  ])("is %s: %s", { tags: ["call-errors"] }, async (code, why, head, line, channel, key) => {
    expect(await command(line)).toBe(`debug!error ${code} ${head}: ${why}`);
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    expect(await post(channel, "c", headers)).toEqual(refusal(400, code, why));
    expect(await caught(channel, "c", key)).toEqual([code, why]);
  });

  test("needs a message", async () => {
    const why = "a message is missing";
    const bodyWhy = `${why}; send one per line`;
    expect(await command("announce news")).toBe(`debug!error invalid announce news: ${why} after the channel`);
    expect(await post("news", "")).toEqual(refusal(400, "invalid", bodyWhy));
    expect(await caught("news", [])).toEqual(["invalid", bodyWhy]);
    expect(await caught("news", "two\nlines")).toEqual([
      "invalid",
      "a message is one line; send several lines as JSON, or as several messages",
    ]);
  });

  test.each([
    [{ channel: 7 }, "the channel isn't text; pass its name"],
    [{ messages: { id: 7 } }, "a message isn't text; pass text, such as from JSON.stringify"],
    [{ messages: ["a", undefined] }, "a message isn't text; pass text, such as from JSON.stringify"],
    [{ key: 7 }, "the option 'key' isn't text; pass text"],
  ])("by a call with %j is refused", async (wrong, why) => {
    const { channel, messages, key } = { channel: "news", messages: "a", key: "k", ...wrong };
    expect(await Reflect.apply(caught, undefined, [channel, messages, key])).toEqual(["invalid", why]);
  });

  test("limits the length of a line", async () => {
    const why = "a line has at most 65536 bytes; split the message, or raise MAX_LINE_BYTES";
    const long = "x".repeat(65_537);
    expect(await command(`announce news ${long}`)).toBe(`debug!error limit announce news: ${why}`);
    expect(await command(`once k news ${long}`)).toBe(`debug!error limit once k: ${why}`);
    expect(await post("news", long)).toEqual(refusal(400, "limit", why));
    expect(await caught("news", long)).toEqual(["limit", why]);
  });

  test.each([
    [
      "uncertain",
      "the announcement may be lost: the channel's object doesn't answer",
      () => failure("retryable"),
      null,
    ],
    [
      "uncertain",
      "the announcement may be lost: the channel's object is overloaded",
      () => failure("overloaded"),
      null,
    ],
    [
      "unavailable",
      "too many calls are in flight; try again",
      () => new Error("Subrequest depth limit exceeded."),
      "1",
    ],
  ])(
    "is %s, one error for each command: %s",
    { tags: ["status-503", "error-uncertain", "error-unavailable", "uncertain-told", "retry-after"] },
    async (code, why, fault, retryAfter) => {
      const news = unique("news");
      for (const call of ["forward", "announce"] as const) {
        intercept(news, call, () => {
          throw fault();
        });
      }
      const client = await Client.connect(unique("home"));
      client.send(`announce ${news} a\nannounce ${news} b\nonce k ${news} c\nonce l ${news} d`);
      expect(await client.ping()).toEqual(
        [`announce ${news}`, `announce ${news}`, "once k", "once l"].map(
          (head) => `debug!error ${code} ${head}: ${why}`,
        ),
      );
      expect(await post(news, "a")).toEqual(refusal(503, code, why, retryAfter));
      // With a key, retrying is safe.
      expect(await post(news, "a", { "Idempotency-Key": "k" })).toEqual(refusal(503, code, why, "1"));
      expect(await caught(news, "a")).toEqual([code, why]);
    },
  );

  test("another message under a key is a conflict", {
    tags: ["key-conflict", "status-409", "error-conflict"],
  }, async () => {
    const news = unique("news");
    const why = "this key was used for another message on this channel";
    const first = await post(news, "a", { "Idempotency-Key": "k" });
    expect(await command(`once k ${news} b`)).toBe(`debug!error conflict once k: ${why}`);
    for (const other of ["b", "a\nb", "A"]) {
      expect(await post(news, other, { "Idempotency-Key": "k" })).toEqual(refusal(409, "conflict", why));
    }
    expect(await caught(news, ["a", "a"], "k")).toEqual(["conflict", why]);
    expect(await post(news, "a", { "Idempotency-Key": "k" })).toEqual(first);
  });

  test("with a key is limited by the retention", { tags: ["key-fits"] }, async () => {
    const news = unique("news");
    const why = "messages with a key have at most 262144 bytes in total, as the channel retains them to detect repeats";
    const [half, rest] = ["x".repeat(60_000), "x".repeat(22_200)];
    const body = [half, half, half, half, rest].join("\n");
    expect(await post(news, body, { "Idempotency-Key": "k" })).toEqual(refusal(400, "limit", why));
    expect(await caught(news, body.split("\n"), "k")).toEqual(["limit", why]);
    expect((await post(news, body)).status).toBe(200);
  });

  test("with another position than the newest is a conflict", { tags: ["status-412", "error-conflict"] }, async () => {
    const news = unique("news");
    const { said } = await post(news, "a");
    const position = Number(/"position":(\d+)/.exec(said)?.[1]);
    expect(await post(news, "b", { "If-Position": "7" })).toEqual(
      refusal(412, "conflict", `the newest position is ${position}`),
    );
  });
});

describe("subscribing", () => {
  const upgrade = { Upgrade: "websocket" };
  const n256 = "n".repeat(256);

  test.each([
    [
      "a channel name has no '!', space or control character; use '-' instead",
      "subscribe a!b",
      "subscribe a!b",
      "/a!b",
    ],
    ["a channel name has at most 255 bytes", "subscribe", `subscribe ${n256}`, `/${n256}`],
    [
      "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'",
      "subscribe news",
      "subscribe news since x",
      "/news?since=x",
    ],
    [
      "'last' takes a number of messages, a whole number from 1 to 9007199254740991",
      "subscribe news",
      "subscribe news last 0",
      "/news?last=0",
    ],
  ])("is invalid: %s", { tags: ["error-invalid", "status-400"] }, async (why, head, line, path) => {
    expect(await command(line)).toBe(`debug!error invalid ${head}: ${why}`);
    for (const headers of [{}, upgrade, EVENTS]) {
      expect(await request(path, { headers })).toEqual(refusal(400, "invalid", why));
    }
  });

  test("limits the number of channels", async () => {
    const many = Array.from({ length: 256 }, (_, i) => `channel=${i}`).join("&");
    const refused = refusal(400, "limit", "a connection has at most 256 channels");
    for (const headers of [{}, EVENTS]) expect(await request(`/news?${many}`, { headers })).toEqual(refused);
  });

  test("is unavailable if the channel's object doesn't answer, which browsers learn from an event", {
    tags: ["events-retry"],
  }, async () => {
    const room = unique("room");
    intercept(room, "fetch", () => {
      throw failure("overloaded");
    });
    const why = "the channel's object doesn't answer; try again later";
    const refused = refusal(503, "unavailable", why, "5");
    for (const headers of [{}, upgrade]) expect(await request(`/${room}`, { headers })).toEqual(refused);
    const { status, code, said } = await request(`/${room}`, { headers: EVENTS });
    expect([status, code]).toEqual([200, "unavailable"]);
    expect(said).toMatch(/^retry: \d+\n/);
    expect(said).toContain(`event: debug\ndata: error unavailable connect: ${why}\n\n`);
  });

  test("is refused within the stream if only one of its channels is unavailable", {
    tags: ["stream-error"],
  }, async () => {
    const [news, art] = [unique("news"), unique("art")];
    for (const call of ["link", "recover"] as const) {
      intercept(art, call, () => {
        throw new Error("our own code threw, as a test had it");
      });
    }
    const why = "the channel's object doesn't answer; try again";
    const reader = await StreamReader.open(`/${news}?channel=${art}`, EVENTS);
    expect(await reader.debugEvent(/^error/)).toBe(`error unavailable subscribe ${art}: ${why}`);
    const talker = await Client.connect(news);
    talker.send(`announce ${news} the other channel goes on`);
    expect((await reader.event()).data).toBe("the other channel goes on");
  });
});

test("requests above an address's rate limit are refused for a second", {
  tags: ["status-429", "retry-after", "address-limit"],
}, async () => {
  const headers = { "CF-Connecting-IP": "192.0.2.7" };
  const lines = "x\n".repeat(10_000);
  const why = "at most 10000 lines per second are carried out; send this again later";
  const refused = refusal(429, "rate", why, "1");
  // At once, and more than a slow machine refills in the same time.
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(unique("news"), lines, headers)));
  expect(answers).toContainEqual(refused);
});

test("other methods and unknown pages are invalid", { tags: ["status-404-405"] }, async () => {
  expect(await request("/-/nothing")).toMatchObject({ status: 404, code: "invalid" });
  expect(await request("/-/health", { method: "POST" })).toMatchObject({
    status: 405,
    code: "invalid",
    said: "This path is read-only; use GET.\n",
  });
  expect(await request("/news", { method: "DELETE" })).toMatchObject({ status: 405, code: "invalid" });
  expect(await request("/%ff")).toMatchObject({ status: 400, code: "invalid" });
});

test("an unparsable command is refused as a line, and others by their names", async () => {
  const client = await Client.connect(unique("home"));
  client.send("?\nnonsense a b\nping x\ntoken\nsubscribe\nonce k\nunsubscribe a!b");
  client.send(Uint8Array.of(0xff));
  const heads = ["line", "nonsense", "ping", "token", "subscribe", "once k", "unsubscribe a!b", "frame"];
  const said = await client.ping();
  expect(said.map((line) => line.split(": ")[0])).toEqual(heads.map((head) => `debug!error invalid ${head}`));
});
