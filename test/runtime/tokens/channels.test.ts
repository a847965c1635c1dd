/** Operators list the channels in use. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { EVERYTHING, granting } from "../support/mint.ts";
import { configure, evictAll, intercept, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function list(query: string, claims: Record<string, unknown> = { operate: true }) {
  const headers = await granting(claims);
  const response = await exports.default.fetch(`http://fanout.test/-/channels?${query}`, { headers });
  return { status: response.status, body: await response.text() };
}

async function listed(query: string): Promise<unknown> {
  return JSON.parse((await list(query)).body);
}

test("channels are listed with subscribers, members and position, also while everything sleeps", async () => {
  configure({ HISTORY_SECONDS: "60" });
  const prefix = `${unique("list")}-`;
  const [a, b, c] = [`${prefix}a`, `${prefix}b`, `${prefix}c`];
  const everything = await granting({ ...EVERYTHING, enter: ["*"] });
  const clients = [await Client.connect(a, everything), await Client.connect(b, everything)];
  const [first, second] = clients;
  if (!first || !second) throw new Error("two clients are connected");
  first.send(`subscribe ${b}\nenter ${b} ann\nenter ${c} ann\nannounce ${a} x`);
  await first.ping();
  second.send(`enter ${b} bob`);
  await second.ping();
  await evictAll();
  const position = expect.any(Number);
  const all = [
    { channel: a, subscribers: 1, members: 0, position },
    { channel: b, subscribers: 2, members: 2, position },
    { channel: c, subscribers: 0, members: 1, position },
  ];
  expect(await listed(`prefix=${prefix}`)).toEqual({ channels: all, unreachable: 0 });
  expect(await listed(`prefix=${prefix}&limit=2`)).toEqual({ channels: all.slice(0, 2), next: b, unreachable: 0 });
  expect(await listed(`prefix=${prefix}&after=${b}`)).toEqual({ channels: all.slice(2), unreachable: 0 });
  expect(await listed("prefix=nothing")).toEqual({ channels: [], unreachable: 0 });
});

test("objects that don't answer are counted", async () => {
  const room = unique("room");
  await Client.connect(room, await granting(EVERYTHING));
  intercept(room, "channels", () => {
    throw new Error("no answer");
  });
  expect(await listed(`prefix=${room}`)).toEqual({ channels: [], unreachable: 1 });
});

test.each([
  "limit=0",
  "limit=101",
  "limit=x",
  "limit=-1",
  "limit=",
  "after=a%20b",
  "prefix=%00",
  `prefix=${"x".repeat(256)}`,
])("a list refuses %s", async (query) => {
  expect(await list(query)).toMatchObject({ status: 400 });
});

test("only operators list channels", async () => {
  expect(await list("", EVERYTHING)).toMatchObject({ status: 403 });
});
