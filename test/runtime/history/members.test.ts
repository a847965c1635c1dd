/** The members of a channel by HTTP and by service bindings. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { configure, intercept, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function get(path: string, init: RequestInit = {}) {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  const { status, headers } = response;
  return { status, code: headers.get("Fanout-Error"), at: headers.get("Fanout-Position"), body: await response.text() };
}

/** Connects a client for each member, which enters a channel. */
async function enter(room: string, ...members: string[]): Promise<Client[]> {
  const clients = [];
  for (const member of members) {
    const client = await Client.connect();
    client.send(`enter ${room} ${member}`);
    expect(await client.ping()).toEqual([]);
    clients.push(client);
  }
  return clients;
}

test("members are listed with their position, in pages", async () => {
  const room = unique("room");
  await enter(room, "cy", 'ann {"x":1}', "bob");
  const { at, body, status } = await get(`/presence/${room}?members`, { headers: { Accept: "text/html" } });
  const position = expect.any(Number);
  const [ann, bob, cy] = [{ member: "ann", data: '{"x":1}' }, { member: "bob" }, { member: "cy" }];
  const head = { channel: room, position, count: 3 };
  expect(status).toBe(200);
  expect(JSON.parse(body)).toEqual({ ...head, members: [ann, bob, cy] });
  expect(String(JSON.parse(body).position)).toBe(at);
  const page = async (query: string) => JSON.parse((await get(`/presence/${room}?members&${query}`)).body);
  expect(await page("limit=2")).toEqual({ ...head, members: [ann, bob], next: "bob" });
  expect(await page("limit=2&after=bob")).toEqual({ ...head, members: [cy] });
  expect(await page("limit=3")).toEqual({ ...head, members: [ann, bob, cy] });
  expect(await page("after=z")).toEqual({ ...head, members: [] });
  const { body: missed } = await get(`/presence/${room}?poll&since=${at}`);
  expect(missed).toBe("");
});

test("a channel without members has an empty list", async () => {
  const { body } = await get(`/presence/${unique("room")}?members`);
  expect(JSON.parse(body)).toMatchObject({ count: 0, members: [] });
});

test.each([
  ["/room?members", "Members are at /presence/room?members."],
  ["/?members", "Members are at /presence/all?members."],
  ["/presence/presence/room?members", "'presence/…' is about another channel's members, and has none itself."],
  ["/presence/debug?members", "'debug' is reserved for the server; use another channel."],
  ["/presence/?members", "A channel name is missing."],
  ["/presence/room?members&limit=0", "'limit' is a number of members from 1 to 1000."],
  ["/presence/room?members&limit=1001", "'limit' is a number of members from 1 to 1000."],
  ["/presence/room?members&limit=x", "'limit' is a number of members from 1 to 1000."],
  [
    "/presence/room?members&after=a%20b",
    "'after' isn't a member: the name of a member has no space or control character.",
  ],
  ["/presence/room?members&poll", "'members' and 'poll' can't be combined; list members, then subscribe."],
  ["/presence/room?members&since=1", "'members' and 'since' can't be combined; list members, then subscribe."],
])("%s is refused with a sentence", async (path, sentence) => {
  expect(await get(path)).toEqual({ status: 400, code: "invalid", at: null, body: `${sentence}\n` });
});

test("without retention there are no members", async () => {
  configure({ HISTORY_SECONDS: "0" });
  const room = unique("room");
  expect(await get(`/presence/${room}?members`)).toMatchObject({ status: 400, code: "no-history" });
  const ann = await Client.connect(room);
  ann.send(`enter ${room} ann\nmembers ${room}`);
  const why = "presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)";
  expect(await ann.ping()).toEqual([
    `debug!error no-history enter ${room}: ${why}`,
    `debug!error no-history members ${room}: ${why}`,
  ]);
});

test("an object that doesn't answer is unavailable", async () => {
  const room = unique("room");
  intercept(`presence/${room}`, "members", () => {
    throw new Error("no answer");
  });
  expect(await get(`/presence/${room}?members`)).toMatchObject({ status: 503, code: "unavailable" });
});

test("only the server announces on presence channels", async () => {
  const body = "Only the server announces on presence channels; use 'enter' and 'leave'.\n";
  expect(await get("/presence/room", { method: "POST", body: "enter eve" })).toEqual({
    status: 403,
    code: "forbidden",
    at: null,
    body,
  });
  const headers = { "Idempotency-Key": "key" };
  expect(await get("/presence/x", { method: "POST", body: "x", headers })).toMatchObject({ status: 403 });
});

test("service bindings list members, and can't announce on presence channels", async () => {
  const room = unique("room");
  await enter(room, "ann", "bob here");
  const { Fanout } = exports;
  expect(await Fanout.members(room)).toEqual({
    position: expect.any(Number),
    members: [{ member: "ann" }, { member: "bob", data: "here" }],
  });
  const thrown = (error: unknown) => String(error);
  expect(await Fanout.members("presence/x").catch(thrown)).toContain("has none itself");
  expect(await Fanout.announce("presence/x", "enter eve").catch(thrown)).toContain("only the server announces");
});
