/** The members of channels: what they cost, and what they survive. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { presenceOf } from "../../../src/protocol/members.ts";
import { Client } from "../support/client.ts";
import { configure, crash, evict, evictAll, hold, intercept, keys, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

/** Connects a client that receives the changes of a channel's members. */
async function watch(channel: string, home = unique("watcher")): Promise<Client> {
  const watcher = await Client.connect(home);
  watcher.send(`subscribe ${presenceOf(channel)}`);
  await watcher.ping();
  return watcher;
}

/** Sends a command; returns the lines up to the reply to the next ping. */
function carryOut(client: Client, line: string): Promise<string[]> {
  client.send(line);
  return client.ping();
}

/** Returns the members that a client lists. */
async function list(client: Client, channel: string): Promise<string[]> {
  const [head = "", ...members] = await carryOut(client, `members ${channel}`);
  expect(head).toMatch(new RegExp(`^debug!members ${channel} \\d+ ${members.length}$`));
  return members.map((line) => line.replace(`debug!member ${channel} `, ""));
}

describe.each([
  ["at the channel's own object", (channel: string) => channel],
  ["at another object", (channel: string) => `${channel}-home`],
  ["at the object of its presence", presenceOf],
])("members %s", (_, homeOf) => {
  test("enter, change and leave, and watchers see each change once", { tags: ["presence-channel"] }, async () => {
    const room = unique("room");
    const watcher = await watch(room);
    const ann = await Client.connect(homeOf(room));
    const presence = presenceOf(room);
    await carryOut(ann, `enter ${room} ann`);
    expect(await watcher.line()).toBe(`${presence}!enter ann`);
    expect(await list(watcher, room)).toEqual(["ann"]);
    await carryOut(ann, `enter ${room} ann`);
    await carryOut(ann, `enter ${room} ann {"mood": "fine"}`);
    expect(await watcher.line()).toBe(`${presence}!update ann {"mood": "fine"}`);
    expect(await list(watcher, room)).toEqual([`ann {"mood": "fine"}`]);
    await carryOut(ann, `enter ${room} bob`);
    expect(await watcher.lines(2)).toEqual([`${presence}!enter bob`, `${presence}!leave ann`]);
    await carryOut(ann, `leave ${room}\nleave ${room}`);
    expect(await watcher.line()).toBe(`${presence}!leave bob`);
    expect(await list(watcher, room)).toEqual([]);
    expect(await watcher.ping()).toEqual([]);
  });

  test("receive their own changes before the reply to a ping", {
    tags: ["presence-barrier", "ping-barrier"],
  }, async () => {
    const room = unique("room");
    const ann = await Client.connect(homeOf(room));
    await carryOut(ann, `subscribe ${presenceOf(room)}`);
    expect(await carryOut(ann, `enter ${room} ann`)).toEqual([`${presenceOf(room)}!enter ann`]);
    expect(await carryOut(ann, `leave ${room}`)).toEqual([`${presenceOf(room)}!leave ann`]);
  });

  test("stay for a while after their last connection has ended", {
    tags: ["presence-no-ghosts", "presence-no-flapping"],
  }, async () => {
    configure({ PRESENCE_GRACE_SECONDS: "1" });
    const room = unique("room");
    const watcher = await watch(room);
    const reader = await Client.connect();
    const [first, second] = [await Client.connect(homeOf(room)), await Client.connect(`${room}-other`)];
    await carryOut(first, `enter ${room} ann`);
    await carryOut(second, `enter ${room} ann`);
    await first.close();
    await second.close();
    const back = await Client.connect(`${room}-third`);
    await carryOut(back, `enter ${room} ann`);
    expect(await list(reader, room)).toEqual(["ann"]);
    await back.close();
    expect(await watcher.lines(2)).toEqual([`${presenceOf(room)}!enter ann`, `${presenceOf(room)}!leave ann`]);
    expect(await list(reader, room)).toEqual([]);
  });

  test("survive evictions and a crash of the object that knows them", async () => {
    const room = unique("room");
    const watcher = await watch(room);
    const ann = await Client.connect(homeOf(room));
    await carryOut(ann, `enter ${room} ann data`);
    expect(await watcher.line()).toBe(`${presenceOf(room)}!enter ann data`);
    await evictAll();
    expect(await list(watcher, room)).toEqual(["ann data"]);
    await carryOut(ann, `enter ${room} ann more`);
    expect(await watcher.line()).toBe(`${presenceOf(room)}!update ann more`);
    if (homeOf(room) === presenceOf(room)) return;
    await crash(presenceOf(room));
    const other = await Client.connect();
    expect(await list(other, room)).toEqual(["ann more"]);
    await carryOut(ann, `leave ${room}`);
    expect(await list(other, room)).toEqual([]);
  });

  test("leave after their object has crashed", async () => {
    configure({ PRESENCE_GRACE_SECONDS: "1" });
    const room = unique("room");
    const watcher = await watch(room);
    const ann = await Client.connect(homeOf(room));
    await carryOut(ann, `enter ${room} ann`);
    await watcher.line();
    if (homeOf(room) === presenceOf(room)) return;
    await crash(homeOf(room));
    await list(watcher, room);
    await crash(presenceOf(room));
    const other = await watch(room);
    expect(await list(other, room)).toEqual(["ann"]);
    expect(await other.line()).toBe(`${presenceOf(room)}!leave ann`);
  });

  test("leave no rows behind", async () => {
    const room = unique("room");
    const ann = await Client.connect(homeOf(room));
    await carryOut(ann, `enter ${room} ann`);
    expect(await keys(presenceOf(room), "members:")).toEqual(["members:head"]);
    expect(await keys(homeOf(room), "present:")).toEqual([`present:${room}`]);
    await carryOut(ann, `leave ${room}`);
    expect(await keys(presenceOf(room), "members:")).toEqual([]);
    expect(await keys(homeOf(room), "present:")).toEqual([]);
  });
});

test("what enters an object during a report shares the next one", async () => {
  const room = unique("room");
  const clients = [];
  while (clients.length < 5) clients.push(await Client.connect(room));
  const [first, ...others] = clients;
  // If objects have room for one connection, each connection has its own object.
  const reports = Reflect.get(env, "SOCKETS_PER_OBJECT") === "1" ? others.length : 1;
  if (!first) throw new Error("clients are connected");
  const held = hold(presenceOf(room), "present");
  const firstDone = carryOut(first, `enter ${room} first`);
  await held.begun();
  let calls = 0;
  intercept(presenceOf(room), "present", (execute) => {
    calls += 1;
    return execute();
  });
  for (const [i, client] of others.entries()) client.send(`enter ${room} member-${i}`);
  // The object receives this connection after the commands.
  await Client.connect(room);
  held.release();
  await Promise.all([firstDone, ...others.map((client) => client.ping())]);
  expect(await list(await Client.connect(), room)).toHaveLength(5);
  expect(calls).toBe(reports);
});

test("no more members than the limit, and connections go on", { tags: ["members-limit", "members-size"] }, async () => {
  configure({ MEMBERS_PER_CHANNEL: "2" });
  const room = unique("room");
  const clients = [await Client.connect(room), await Client.connect(room), await Client.connect(room)];
  const outcomes = [];
  for (const [i, client] of clients.entries()) outcomes.push(await carryOut(client, `enter ${room} member-${i}`));
  const refused = `debug!error limit enter ${room}: a channel has at most 2 members`;
  expect(outcomes).toEqual([[], [], [refused]]);
  const [first, , third] = clients;
  if (!first || !third) throw new Error("three clients are connected");
  await carryOut(first, `leave ${room}`);
  expect(await carryOut(third, `enter ${room} member-2`)).toEqual([]);
  expect(await list(third, room)).toEqual(["member-1", "member-2"]);
  // Where there is no room for a second name, the first one stays.
  expect(await carryOut(third, `enter ${room} member-3`)).toEqual([refused]);
  expect(await list(third, room)).toEqual(["member-1", "member-2"]);
});

test("an object that doesn't answer refuses members, who aren't present afterwards", {
  tags: ["presence-barrier"],
}, async () => {
  const room = unique("room");
  const ann = await Client.connect(room);
  const restore = intercept(presenceOf(room), "present", async (execute) => {
    await execute();
    throw new Error("no answer");
  });
  const why = "the members of this channel can't be reached now; try again";
  expect(await carryOut(ann, `enter ${room} ann`)).toEqual([`debug!error unavailable enter ${room}: ${why}`]);
  restore();
  expect(await carryOut(ann, `enter ${room} bob`)).toEqual([]);
  expect(await list(ann, room)).toEqual(["bob"]);
});

test("only the server announces on presence channels", async () => {
  const ann = await Client.connect();
  const why = "only the server announces on presence channels; enter and leave over a WebSocket";
  expect(await carryOut(ann, "announce presence/room enter eve")).toEqual([
    `debug!error forbidden announce presence/room: ${why}`,
  ]);
  expect(await carryOut(ann, "once key presence/room enter eve")).toEqual([`debug!error forbidden once key: ${why}`]);
});

test("an eviction of everything changes nothing", async () => {
  const room = unique("room");
  const ann = await Client.connect(room);
  await carryOut(ann, `enter ${room} ann`);
  await evict(room);
  await evict(presenceOf(room));
  expect(await list(ann, room)).toEqual(["ann"]);
});
