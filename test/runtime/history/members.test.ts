/** Lists of members without a connection: by HTTP, and by calls of other Workers. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { mount } from "../../../src/mount.ts";
import { presenceOf } from "../../../src/protocol/members.ts";
import worker from "../../../src/worker.ts";
import { Client } from "../support/client.ts";
import { configure, evictAll, intercept, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function get(path: string, init: RequestInit = {}) {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  return { status: response.status, said: await response.text(), headers: response.headers };
}

/** Returns the status, code and sentence of a refusal. */
async function refusal(path: string, init: RequestInit = {}) {
  const { status, said, headers } = await get(path, init);
  return [status, headers.get("Fanout-Error"), said];
}

/** Returns the list in a response, without its position, and checks the position's header. */
async function list(path: string, init: RequestInit = {}) {
  const { status, said, headers } = await get(path, init);
  expect([status, said]).toEqual([200, expect.stringMatching(/^\{.*\}\n$/)]);
  const { position, ...rest } = JSON.parse(said);
  expect(headers.get("Fanout-Position")).toBe(String(position));
  return { position, rest };
}

/** Returns what a call throws. */
async function caught(asked: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await asked;
  } catch (error) {
    return error;
  }
}

/** Connects a client for each member. Its command is `<member>[ <data>]`. */
async function enter(channel: string, ...members: string[]): Promise<Client[]> {
  const clients = await Promise.all(members.map(() => Client.connect(unique("home"))));
  for (const [i, client] of clients.entries()) client.send(`enter ${channel} ${members[i]}`);
  for (const client of clients) expect(await client.ping()).toEqual([]);
  return clients;
}

describe("a list", () => {
  test("has all members by name, with their data, and the position at which it is true", {
    tags: ["presence-no-race", "presence-exact"],
  }, async () => {
    const room = unique("room");
    const [ann] = await enter(room, 'ann {"a": 1}', "bob", "Zoe  two ", "\u{1f600} x", "\uffee y");
    const expected = {
      channel: room,
      count: 5,
      members: [
        { member: "Zoe", data: " two " },
        { member: "ann", data: '{"a": 1}' },
        { member: "bob" },
        { member: "\u{1f600}", data: "x" },
        { member: "\uffee", data: "y" },
      ],
    };
    const { position, rest } = await list(`/presence/${room}?members`);
    expect(rest).toEqual(expected);
    expect((await get(`/presence%2F${room}?members=`)).said).toBe(
      `${JSON.stringify({ channel: room, position, count: 5, members: expected.members })}\n`,
    );
    expect(await exports.Fanout.members(room)).toEqual({ position, members: expected.members });
    await evictAll();
    expect(await exports.Fanout.members(room)).toEqual({ position, members: expected.members });
    ann?.send(`leave ${room}\nping`);
    await ann?.untilTime();
    const later = await get(`/${presenceOf(room)}?poll&since=${position}`);
    expect([later.said, later.headers.get("Fanout-Position")]).toEqual([
      `${presenceOf(room)}!leave ann\n`,
      String(position + 1),
    ]);
    expect((await exports.Fanout.members(room)).position).toBe(position + 1);
  });

  test("may be empty, and names a position from which changes follow", async () => {
    const room = unique("room");
    const { position, rest } = await list(`/presence/${room}?members`);
    expect(rest).toEqual({ channel: room, count: 0, members: [] });
    expect(await exports.Fanout.members(room)).toEqual({ position, members: [] });
    const watcher = await Client.connect();
    watcher.send(`subscribe ${presenceOf(room)} since ${position}`);
    await enter(room, "ann");
    expect(await watcher.lines(2)).toEqual([
      `debug!position ${presenceOf(room)} ${position}`,
      `${presenceOf(room)}!enter ann`,
    ]);
  });

  test("comes in pages, each after a name, whether or not that is a member", async () => {
    const room = unique("room");
    await enter(room, "a", "b", "c&d 1", "e");
    const page = async (query: string) => {
      const { rest } = await list(`/presence/${room}?members&${query}`);
      expect(rest).toMatchObject({ channel: room, count: 4 });
      return [rest.members.map(({ member }: { member: string }) => member), rest.next];
    };
    expect(await page("limit=1")).toEqual([["a"], "a"]);
    expect(await page("limit=2&after=a")).toEqual([["b", "c&d"], "c&d"]);
    expect(await page("limit=2&after=c%26d")).toEqual([["e"], undefined]);
    expect(await page("limit=2&after=b")).toEqual([["c&d", "e"], undefined]);
    expect(await page("after=bb")).toEqual([["c&d", "e"], undefined]);
    expect(await page("after=e")).toEqual([[], undefined]);
    expect(await page("limit=1000")).toEqual([["a", "b", "c&d", "e"], undefined]);
    expect(await page("limit=4")).toEqual([["a", "b", "c&d", "e"], undefined]);
  });

  test("of more than a thousand members needs a second page", { tags: ["members-pages"] }, async () => {
    const room = unique("room");
    const members = Array.from({ length: 1_001 }, (_, i) => ({ member: `m${1_000 + i}`, data: "" }));
    intercept(presenceOf(room), "members", () => ({ position: 7, members }));
    const first = await list(`/presence/${room}?members`);
    expect(first.rest).toMatchObject({ count: 1_001, next: "m1999" });
    expect(first.rest.members).toHaveLength(1_000);
    const { rest } = await list(`/presence/${room}?members&after=${first.rest.next}`);
    expect(rest).toEqual({ channel: room, count: 1_001, members: [{ member: "m2000" }] });
  });

  test("is JSON for browsers too, isn't cached, and pages can read it", async () => {
    const room = unique("room");
    const headers = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8", Origin: "https://page.test" };
    for (const method of ["GET", "HEAD"]) {
      const response = await get(`/presence/${room}?members`, { method, headers });
      expect([response.status, response.said === ""]).toEqual([200, method === "HEAD"]);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "application/json",
        "cache-control": "no-store",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": expect.stringContaining("Fanout-Position"),
        "fanout-position": expect.stringMatching(/^\d+$/),
      });
    }
  });
});

describe("is refused:", () => {
  const once = "'?members' is one list, which can't be combined with";
  const follow = "to follow its changes, subscribe to 'presence/x' since its position.\n";
  const invalid = (sentence: string) => [400, "invalid", sentence];

  test.each<[what: string, path: string, init: RequestInit, expected: unknown[]]>([
    [
      "another path",
      "/a%20b/c?members",
      {},
      invalid("A channel name has no '!', space or control character; use '-' instead.\n"),
    ],
    [
      "a channel itself",
      "/a%2Fb/c?members",
      {},
      invalid("Members are listed below '/presence/', for this channel at '/presence/a%2Fb/c?members'.\n"),
    ],
    [
      "no channel",
      "/?members&limit=1",
      {},
      invalid("Members are listed below '/presence/', for this channel at '/presence/all?members'.\n"),
    ],
    ["no channel of presence", "/presence/?members", {}, invalid("A channel name is missing.\n")],
    [
      "presence of presence",
      "/presence/presence/x?members",
      {},
      invalid("'presence/…' is about another channel's members, and has none itself.\n"),
    ],
    ["a poll", "/presence/x?members&poll", {}, invalid(`${once} 'poll'; ${follow}`)],
    ["since", "/presence/x?since=1&members", {}, invalid(`${once} 'since'; ${follow}`)],
    ["last", "/presence/x?members&last", {}, invalid(`${once} 'last'; ${follow}`)],
    ["other channels", "/presence/x?members&channel=y", {}, invalid(`${once} 'channel'; ${follow}`)],
    [
      "events",
      "/presence/x?members",
      { headers: { Accept: "text/event-stream" } },
      invalid(`${once} server-sent events; ${follow}`),
    ],
    [
      "a WebSocket",
      "/presence/x?members",
      { headers: { Upgrade: "websocket" } },
      invalid(`${once} a WebSocket; on a WebSocket, send 'members x'.\n`),
    ],
    ...["0", "1001", "-1", "1.5", "x", "", "1e2", "%20", "99999999999"].map(
      (limit): [string, string, RequestInit, unknown[]] => [
        `limit '${limit}'`,
        `/presence/x?members&limit=${limit}`,
        {},
        invalid("'limit' is a whole number from 1 to 1000.\n"),
      ],
    ),
    [
      "no name",
      "/presence/x?members&after=",
      {},
      invalid("'after' takes the name of a member, but the name of a member is missing.\n"),
    ],
    [
      "a long name",
      `/presence/x?members&after=${"x".repeat(65)}`,
      {},
      invalid("'after' takes the name of a member, but the name of a member has at most 64 bytes.\n"),
    ],
    [
      "a name with a line end",
      "/presence/x?members&after=a%0Ab",
      {},
      invalid("'after' takes the name of a member, but the name of a member has no space or control character.\n"),
    ],
    [
      "a POST",
      "/presence/x?members",
      { method: "POST", body: "enter ann" },
      [405, "invalid", "'?members' is read by GET; members need a connection; enter over a WebSocket.\n"],
    ],
  ])("%s", async (_, path, init, expected) => {
    expect(await refusal(path, init)).toEqual(expected);
  });

  test("the right path where another Worker mounts the server", async () => {
    const request = new Request("http://fanout.test/live/news?members");
    const response = await mount("/live", request, { CHANNEL: exports.Channel });
    expect(await response?.text()).toContain("at '/live/presence/news?members'.\n");
  });

  test("a channel whose presence would have too long a name", async () => {
    const [fits, long] = ["x".repeat(246), "x".repeat(247)];
    expect((await get(`/presence/${fits}?members`)).status).toBe(200);
    expect((await refusal(`/presence/${long}?members`)).slice(0, 2)).toEqual([400, "invalid"]);
    const why = "a channel with members has at most 246 bytes";
    expect(await caught(exports.Fanout.members(long))).toMatchObject({ code: "invalid", message: why });
  });
});

describe("without members,", () => {
  test("an object that doesn't answer is reported", async () => {
    const room = unique("room");
    intercept(presenceOf(room), "members", () => {
      throw new Error("no answer");
    });
    const why = "the members of this channel can't be reached now; try again";
    const { status, said, headers } = await get(`/presence/${room}?members`);
    expect([status, headers.get("Fanout-Error"), headers.get("Retry-After")]).toEqual([503, "unavailable", "5"]);
    expect(said).toBe("The members of this channel can't be reached now; try again.\n");
    expect(await caught(exports.Fanout.members(room))).toMatchObject({ code: "unavailable", message: why });
  });

  test("a server without retention says so, also to clients that enter", async () => {
    const room = unique("room");
    configure({ HISTORY_SECONDS: "0" });
    const why = "presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)";
    expect(await refusal(`/presence/${room}?members`)).toEqual([400, "no-history", `P${why.slice(1)}.\n`]);
    const ann = await Client.connect(room);
    ann.send(`enter ${room} ann\nmembers ${room}`);
    expect(await ann.ping()).toEqual(
      ["enter", "members"].map((verb) => `debug!error no-history ${verb} ${room}: ${why}`),
    );
    expect(await caught(exports.Fanout.members(room))).toMatchObject({ code: "no-history", message: why });
  });

  test("callers in plain JavaScript learn what is wrong", async () => {
    const wrong: [unknown, string][] = [
      ...[undefined, null, 1, {}, ["news"]].map((value): [unknown, string] => [
        value,
        "the channel isn't text; pass its name",
      ]),
      ["", "a channel name is missing"],
      ["a\nb", "a channel name has no '!', space or control character; use '-' instead"],
      ["presence/a", "'presence/…' is about another channel's members, and has none itself"],
    ];
    for (const [channel, message] of wrong) {
      const asked = Promise.resolve(Reflect.apply(exports.Fanout.members, exports.Fanout, [channel]));
      expect(await caught(asked)).toMatchObject({ code: "invalid", message });
    }
  });
});

test("an address pays for the length of the lists that it reads, also of short pages", {
  tags: ["cost-members"],
}, async () => {
  const room = unique("room");
  const env = { CHANNEL: exports.Channel, LINES_PER_SECOND: "25" };
  const read = async (address: string) => {
    const url = `http://fanout.test/presence/${room}?members&limit=1`;
    const response = await worker.fetch(new Request(url, { headers: { "CF-Connecting-IP": address } }), env);
    await response.text();
    return [response.status, Number(response.headers.get("Retry-After"))];
  };
  // An empty list costs 10 lines.
  expect([await read("192.0.2.1"), await read("192.0.2.1")]).toEqual([
    [200, 0],
    [200, 0],
  ]);
  const members = Array.from({ length: 5_000 }, (_, i) => ({ member: `m${10_000 + i}`, data: "" }));
  intercept(presenceOf(room), "members", () => ({ position: 7, members }));
  // This one costs 60.
  expect(await read("192.0.2.2")).toEqual([200, 0]);
  expect(await read("192.0.2.2")).toEqual([429, 2]);
});

test("only the server announces on presence channels, whatever the transport", {
  tags: ["error-forbidden"],
}, async () => {
  const presence = presenceOf(unique("room"));
  const watcher = await Client.connect();
  watcher.send(`subscribe ${presence}`);
  await watcher.ping();
  const why = "only the server announces on presence channels; enter and leave over a WebSocket";
  const refused = [403, "forbidden", `O${why.slice(1)}.\n`];
  const post = { method: "POST", body: "enter eve" };
  expect(await refusal(`/${presence}`, post)).toEqual(refused);
  expect(await refusal(`/${presence}`, { ...post, headers: { "Idempotency-Key": "k" } })).toEqual(refused);
  expect(await refusal(`/${presence}`, { ...post, headers: { "If-Position": "1" } })).toEqual(refused);
  expect(await refusal("/presence%2F", { method: "POST", body: "" })).toEqual(refused);
  for (const options of [{}, { key: "k" }]) {
    const announced = exports.Fanout.announce(presence, "enter eve", options);
    expect(await caught(announced)).toMatchObject({ code: "forbidden", message: why });
  }
  expect(await watcher.ping()).toEqual([]);
  // A channel with a similar name is an ordinary one.
  expect((await get("/presence", { method: "POST", body: "x" })).status).toBe(200);
});
