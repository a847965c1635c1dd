/** Grants of a connection apply to each command. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_TOKEN_BYTES, readToken } from "../../../src/auth/tokens.ts";
import { utf8Length } from "../../../src/protocol/text.ts";
import { byChannel } from "../../by-channel.ts";
import { connectionsOf } from "../../unit/sockets.ts";
import { Client } from "../support/client.ts";
import { expectDelivery, expectNoMore, noAnnouncement, noSubscription, sendAll } from "../support/connections.ts";
import { bearer, EVERYTHING, granting, mint, SECRET } from "../support/mint.ts";
import { evict, evictAll, keys, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function connect(channel: string, claims: Record<string, unknown>): Promise<Client> {
  return Client.connect(channel, await granting(claims));
}

describe("each command", () => {
  test("is executed or refused by itself", { tags: ["error-forbidden", "command-order"] }, async () => {
    const room = unique("room");
    const client = await connect(room, { subscribe: [room, "news/*"], announce: ["news/today", room] });
    const neighbour = await connect(room, EVERYTHING);
    await sendAll([neighbour], `subscribe news/today\nsubscribe news/old\nsubscribe sport`);
    client.send(
      [
        "subscribe news/today",
        "subscribe sport",
        "announce news/today 1",
        "announce news/today 2",
        "announce news/old 3",
        "announce sport 4",
        `announce ${room} 5`,
        "subscribe news",
        "announce all 6",
        "unsubscribe sport",
        "subscribe news/",
        "ping",
      ].join("\n"),
    );
    expect(await client.untilTime()).toEqual([
      noSubscription("sport"),
      "news/today!1",
      "news/today!2",
      ...[noAnnouncement("news/old"), noAnnouncement("sport")],
      `${room}!5`,
      noSubscription("news"),
      noAnnouncement("all"),
    ]);
    const heard = ["news/today!1", "news/today!2", `${room}!5`];
    expect(byChannel(await neighbour.lines(3))).toEqual(byChannel(heard));
    await expectDelivery(neighbour, "news/today", neighbour, client);
    await expectDelivery(neighbour, "sport", neighbour);
    await expectNoMore(client, neighbour);
    expect(await keys("sport", "downstream:")).toEqual([`downstream:${room}`]);
  });

  test("that is refused calls no other object", async () => {
    const [home, elsewhere] = [unique("home"), unique("elsewhere")];
    const client = await connect(home, { subscribe: [home] });
    client.send(`subscribe ${elsewhere}\nannounce ${elsewhere} 1`);
    expect(await client.ping()).toEqual([noSubscription(elsewhere), noAnnouncement(elsewhere)]);
    await evict(home);
    expect(await keys(home, "upstream:")).toEqual(["upstream:all"]);
    expect(await keys(elsewhere)).toEqual([]);
  });

  test("except subscribe, announce and info needs no grant", async () => {
    const client = await connect("", {});
    await sendAll([client], "unsubscribe all\nunsubscribe news");
    client.send("keepalive\nping");
    expect(await client.untilTime()).toEqual(["debug!alive"]);
    client.send("subscribe debug\nsubscribe a!b\nannounce news\nnonsense");
    const faults = await client.ping();
    expect(faults).toHaveLength(4);
    for (const fault of faults) expect(fault).toMatch(/^debug!error invalid /);
  });
});

describe("'all'", () => {
  test("is received by every client", async () => {
    const client = await connect(unique("home"), EVERYTHING);
    const deaf = await connect("", {});
    const town = await connect(unique("home"), { announce: ["all"], subscribe: ["*"] });
    await expectDelivery(town, "all", client, deaf, town);
    await sendAll([deaf], "unsubscribe all");
    await expectDelivery(town, "all", client, town);
    await sendAll([deaf], "subscribe all");
    await expectDelivery(town, "all", client, deaf, town);
  });

  test("can be announced on only if the token names it", { tags: ["token-all"] }, async () => {
    const home = unique("home");
    const listener = await connect(home, { subscribe: [home] });
    for (const announce of [["*"], ["all*"], ["al*", "a*"], ["al", "alla"], []]) {
      for (const channel of ["", home]) {
        const client = await connect(channel, { subscribe: [home], announce });
        client.send("announce all 1");
        expect(await client.ping()).toEqual([noAnnouncement("all")]);
        await client.close();
      }
    }
    await expectNoMore(listener);
    const town = await connect(home, { subscribe: [home], announce: ["all"] });
    await expectDelivery(town, "all", listener, town);
  });
});

describe("grants apply", () => {
  test.each([
    { sleeper: "nothing", sleep: async () => {} },
    { sleeper: "the home", sleep: (home: string) => evict(home) },
    { sleeper: "everything", sleep: () => evictAll() },
  ])("when $sleeper has slept, for a connection whose home is elsewhere", async ({ sleep }) => {
    const [home, room] = [unique("home"), unique("room")];
    const narrow = await connect(home, { subscribe: [home, `${room}/*`], announce: [`${room}/in`] });
    const wide = await connect(home, EVERYTHING);
    const local = await connect(room, EVERYTHING);
    await sendAll([wide], `subscribe ${room}\nsubscribe ${room}/in`);
    for (let round = 0; round < 3; round++) {
      await sleep(home);
      narrow.send(`subscribe ${room}\nannounce ${room} 1\nannounce ${home} 1`);
      expect(await narrow.ping()).toEqual([noSubscription(room), noAnnouncement(room), noAnnouncement(home)]);
      await sleep(home);
      // A message wakes the object.
      await expectDelivery(local, room, local, wide);
      narrow.send(`announce ${room}/out 1`);
      expect(await narrow.ping()).toEqual([noAnnouncement(`${room}/out`)]);
      await sleep(home);
      await sendAll([narrow], `subscribe ${room}/in`);
      await sleep(home);
      await expectDelivery(narrow, `${room}/in`, narrow, wide);
      await sendAll([narrow], `unsubscribe ${room}/in`);
      await expectDelivery(narrow, `${room}/in`, wide);
      await expectDelivery(wide, home, narrow, wide);
    }
    await expectNoMore(narrow, wide, local);
  });

  test("to each connection separately, at the same object and on the same channel", async () => {
    const room = unique("room");
    const own = Array.from({ length: 5 }, (_, i) => `${room}/${i}`);
    const clients = await Promise.all(own.map((name) => connect(room, { subscribe: [room, name], announce: [name] })));
    const everyone = own.map((name) => `subscribe ${name}`).join("\n");
    for (const client of clients) client.send(everyone);
    for (const [i, client] of clients.entries()) {
      expect(await client.ping()).toEqual(own.toSpliced(i, 1).map(noSubscription));
    }
    await evictAll();
    for (const [i, client] of clients.entries()) {
      client.send(own.map((name) => `announce ${name} ${i}`).join("\n"));
      const refusals = own.toSpliced(i, 1).map(noAnnouncement);
      const messages = { [own[i] ?? ""]: [String(i)] };
      expect(byChannel(await client.ping())).toEqual({ ...byChannel(refusals), ...messages });
    }
    await expectNoMore(...clients);
  });
});

/** Different lists of names that fill a token of the greatest length. */
const awkward = [
  { what: "empty", name: () => "" },
  { what: "of many lengths", name: (i: number) => "x".repeat(i) },
  { what: "Chinese", name: (i: number) => "\u6f22".repeat((i % 100) + 1) },
  { what: "ASCII, but for one letter", name: (i: number) => `\u6f22${"x".repeat(i % 250)}` },
  { what: "control characters", name: () => "\u0000" },
  { what: "lone surrogates", name: () => "\ud83d" },
  {
    what: "of the language's own",
    name: (i: number) => ["__proto__", "constructor", "toString"][i % 3] ?? "",
  },
  { what: "headers", name: () => "\r\nFanout-Grants: %7B%22*" },
];

/** Makes the longest token that grants everything and has such names. */
async function longest(name: (i: number) => string): Promise<string> {
  const [subscribe, announce] = [["*"], ["*"]];
  for (let last = "", i = 0; ; i++) {
    const token = await mint({ subscribe, announce });
    if (token.length > MAX_TOKEN_BYTES) return last;
    last = token;
    (i % 2 === 0 ? subscribe : announce).push(name(i));
  }
}

describe("a token of the greatest length", () => {
  test.each(awkward)("with names that are $what leaves room for some subscriptions", async ({ name }) => {
    const token = await longest(name);
    expect(token.length).toBeGreaterThan(MAX_TOKEN_BYTES - 200);
    const home = unique("home");
    const [client, renewed] = await Promise.all([
      Client.connect(home, bearer(token)),
      Client.connect(home, await granting(EVERYTHING)),
    ]);
    // The last letter makes the runtime store all of them as UTF-16, which takes the most space.
    const channels = Array.from({ length: 40 }, (_, i) => `${String(i).padEnd(250, "x")}\u6f22`);
    const commands = channels.map((channel) => `subscribe ${channel}`).join("\n");
    client.send(commands);
    renewed.send(commands);
    const refusals = await client.ping();
    const tooLong = "the names of this connection's channels are too long together";
    expect(refusals).toEqual(
      channels.slice(-refusals.length).map((channel) => `debug!error limit subscribe ${channel}: ${tooLong}`),
    );
    const fewer = await renewed.ping();
    expect(fewer.length).toBeLessThan(refusals.length);

    // A connection with as many subscriptions as a small token allows can't change to a large one.
    renewed.send(`token ${token}`);
    expect(await renewed.ping()).toEqual([
      "debug!error limit token: the names of this connection's channels and grants are too long together",
    ]);
    renewed.send(channels.map((channel) => `announce ${channel} 1`).join("\n"));
    const heard = channels.map((channel) => `${channel}!1`);
    expect(byChannel(await renewed.ping())).toEqual(byChannel(heard.slice(0, -fewer.length)));
    expect(byChannel(await client.ping())).toEqual(byChannel(heard.slice(0, -refusals.length)));
    await Promise.all([client.close(), renewed.close()]);
  });

  test("always fits into the socket's attachment", async () => {
    const part = fc.oneof(
      fc.constantFrom(...awkward.map(({ name }) => name(1)), "a", "\u6f22", "\u{1f600}"),
      fc.string({ unit: "binary", minLength: 1 }),
    );
    const name = fc.array(part, { maxLength: 3 }).map((parts) => parts.join(""));
    // As many names as fit into half a token.
    const names = fc.array(name, { minLength: 10, maxLength: 500, size: "max" }).map((list) => {
      let room = 1_450;
      return list.filter((each) => {
        room -= utf8Length(JSON.stringify(each)) + 1;
        return room >= 0;
      });
    });
    const connections = connectionsOf();
    const { 1: socket } = new WebSocketPair();
    const attempt = fc.asyncProperty(names, names, async (subscribe, announce) => {
      const token = await mint({ subscribe, announce });
      expect(token.length).toBeLessThanOrEqual(MAX_TOKEN_BYTES);
      const grants = await readToken(token, { secret: SECRET, audience: undefined });
      // Throws if the names are too long for the runtime.
      const connection = connections.accept(socket, grants);
      for (const channel of ["all", `${"x".repeat(252)}\u6f22`]) {
        expect(connections.canSubscribe(connection, channel)).toBe(true);
        connections.subscribe(connection, channel);
      }
      connections.flush();
      expect(connections.writeAttachments()).toEqual([]);
      expect(socket.deserializeAttachment()).toEqual({ channels: [...connection.channels], grants });
      connections.remove(connection);
    });
    await fc.assert(attempt, { numRuns: 60, endOnFailure: true });
  });
});

test("info needs the same grant as /-/info", async () => {
  const home = unique("home");
  const [client, operator] = [await connect(home, EVERYTHING), await connect(home, { ...EVERYTHING, operate: true })];
  client.send("info\ninfo");
  const refusal = "debug!error forbidden info: your token lacks the claim 'operate'";
  expect(await client.ping()).toEqual([refusal, refusal]);
  operator.send("info");
  expect((await operator.ping()).length).toBeGreaterThan(10);
  client.send(`token ${await mint({ ...EVERYTHING, operate: true })}\ninfo`);
  expect((await client.ping()).length).toBeGreaterThan(10);
  await Promise.all([client.close(), operator.close()]);
});

test("refusals contain neither the token nor the secret", async () => {
  const token = await mint({});
  const client = await Client.connect("", bearer(token));
  client.send(`subscribe news\nannounce news 1\ntoken ${token}x\nunsubscribe ${token}\n${token}`);
  for (const line of await client.ping()) {
    expect(line).not.toContain(token);
    expect(line).not.toContain(SECRET);
  }
});
