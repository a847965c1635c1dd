/** The command `token` replaces a connection's token. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { MAX_TOKEN_BYTES } from "../../../src/auth/tokens.ts";
import { Client } from "../support/client.ts";
import { pass, stopClock } from "../support/clock.ts";
import { expectDelivery, expectNoMore, noAnnouncement, noSubscription, sendAll } from "../support/connections.ts";
import { EVERYTHING, granting, mint, seconds } from "../support/mint.ts";
import { alarmOf, evict, object, settleQuickly, unique } from "../support/service.ts";

settleQuickly();
stopClock();

/** Returns the reply to a valid token that expires after a number of seconds. */
function accepted(left: number): string {
  return `debug!token accepted until ${seconds() + left + 5}`;
}

async function connect(channel: string, claims: Record<string, unknown>): Promise<Client> {
  return Client.connect(channel, await granting({ exp: seconds() + 60, ...claims }));
}

/** Sends a new token, and returns the reply. */
async function renew(client: Client, claims: Record<string, unknown>): Promise<string[]> {
  client.send(`token ${await mint(claims)}`);
  return client.ping();
}

describe("the grants of a new token", () => {
  test("replace the old ones, before and after an eviction", async () => {
    const [home, more, less] = [unique("home"), unique("more"), unique("less")];
    const client = await connect(home, { subscribe: [home, less], announce: [less] });
    const neighbour = await connect(home, EVERYTHING);
    await sendAll([neighbour], `subscribe ${more}\nsubscribe ${less}`);
    client.send(`subscribe ${more}\nannounce ${more} 1`);
    expect(await client.ping()).toEqual([noSubscription(more), noAnnouncement(more)]);

    const claims = { subscribe: [home, more], announce: [more] };
    expect(await renew(client, claims)).toEqual([accepted(3_600)]);
    for (let i = 0; i < 2; i++) {
      client.send(`subscribe ${less}\nannounce ${less} 1`);
      expect(await client.ping()).toEqual([noSubscription(less), noAnnouncement(less)]);
      await sendAll([client], `subscribe ${more}`);
      await expectDelivery(client, more, client, neighbour);
      await evict(home);
    }
    await sendAll([client], `unsubscribe ${more}`);
    expect(await renew(client, { subscribe: [home] })).toEqual([accepted(3_600)]);
    client.send(`subscribe ${more}\nannounce ${more} 1\nannounce ${home} 1`);
    expect(await client.ping()).toEqual([noSubscription(more), noAnnouncement(more), noAnnouncement(home)]);
    await expectNoMore(client, neighbour);
  });

  test("apply to the next command in the same frame, and not to the one before", async () => {
    const home = unique("home");
    const client = await connect(home, { subscribe: [home] });
    const wide = await mint({ subscribe: ["*"], announce: [home] });
    const narrow = await mint({ subscribe: [home] });
    client.send(`announce ${home} 1\ntoken ${wide}\nannounce ${home} 2\ntoken ${narrow}\nannounce ${home} 3`);
    const replies = await client.ping();
    expect(replies).toEqual([
      ...[noAnnouncement(home), accepted(3_600), `${home}!2`],
      ...[accepted(3_600), noAnnouncement(home)],
    ]);
  });

  test("accept the same spacing as other commands", async () => {
    const client = await connect("", {});
    const token = await mint();
    client.send(new TextEncoder().encode(`token   ${token} and more\r\ntoken ${token}\r\n`));
    expect(await client.ping()).toEqual([accepted(3_600), accepted(3_600)]);
  });

  test("apply to one connection only", async () => {
    const home = unique("home");
    const [one, other] = [await connect(home, { subscribe: [home] }), await connect(home, { subscribe: [home] })];
    expect(await renew(one, { subscribe: [home], announce: [home] })).toEqual([accepted(3_600)]);
    other.send(`announce ${home} 1`);
    expect(await other.ping()).toEqual([noAnnouncement(home)]);
    await expectDelivery(one, home, one, other);
  });
});

describe("a new token is refused, and the old one stays valid,", () => {
  /** Expects that the grants and the expiry of `client` are unchanged. */
  async function expectUnchanged(client: Client, home: string): Promise<void> {
    const other = unique("other");
    client.send(`subscribe ${other}\nannounce ${home}/more 1`);
    expect(await client.ping()).toEqual([noSubscription(other), noAnnouncement(`${home}/more`)]);
    await expectDelivery(client, home, client);
    await evict(home);
    await expectDelivery(client, home, client);
    pass(66);
    client.send("ping");
    expect(await client.closed).toMatchObject({ code: 1008 });
    expect(await client.untilClosed()).toEqual([]);
  }

  test("if it doesn't grant the connection's subscriptions", { tags: ["token-renewed"] }, async () => {
    const [home, room] = [unique("home"), unique("room")];
    const client = await connect(home, { subscribe: [home, `${room}*`], announce: [home] });
    await sendAll([client], `subscribe ${room}1\nsubscribe ${room}2`);
    const because = (channel: string) =>
      `debug!error forbidden token: the token doesn't grant '${channel}', to which you are subscribed`;
    expect(await renew(client, { subscribe: [`${room}*`] })).toEqual([because(home)]);
    expect(await renew(client, { subscribe: [home, `${room}1`], announce: ["*"] })).toEqual([because(`${room}2`)]);
    await expectUnchanged(client, home);
  });

  test("unless the connection has unsubscribed from those channels", async () => {
    const [home, room] = [unique("home"), unique("room")];
    const client = await connect(home, { subscribe: ["*"] });
    await sendAll([client], `subscribe ${room}`);
    const claims = { subscribe: [home] };
    expect(await renew(client, claims)).toEqual([
      expect.stringMatching(/^debug!error forbidden token: the token doesn't grant/),
    ]);
    await sendAll([client], `unsubscribe ${room}\nunsubscribe all`);
    expect(await renew(client, claims)).toEqual([accepted(3_600)]);
    await sendAll([client], "subscribe all");
  });

  test("if it is invalid", async () => {
    const home = unique("home");
    const client = await connect(home, { subscribe: [home], announce: [home] });
    const bad: [token: string, why: string][] = [
      [await mint({ ...EVERYTHING, exp: seconds() - 5 }), "expired token: the token has expired; get a new one"],
      [
        await mint(EVERYTHING, "another secret of more than 32 bytes"),
        "forbidden token: the token's signature is wrong; sign it with the key of this server",
      ],
      [
        await mint({ subscribe: "*" }),
        "forbidden token: the token's claim 'subscribe' isn't a list of channels, such as [\"news\"]",
      ],
      ["x".repeat(MAX_TOKEN_BYTES + 1), `forbidden token: a token has at most ${MAX_TOKEN_BYTES} bytes`],
      ["nonsense", "forbidden token: the token isn't a signed JWT; make one with a JWT library, or `fanout token`"],
    ];
    for (const [token, why] of bad) {
      client.send(`token ${token}`);
      expect(await client.ping()).toEqual([`debug!error ${why}`]);
    }
    client.send(`token\ntoken \ntoken  \r\ntoken ${"x".repeat(100_000)}`);
    expect(await client.ping()).toEqual([
      ...Array(3).fill("debug!error invalid token: a token is missing"),
      expect.stringMatching(/^debug!error limit token: a line has at most/),
    ]);
    await expectUnchanged(client, home);
  });

  test("if the old one has already expired", async () => {
    const home = unique("home");
    const client = await connect(home, { subscribe: [home] });
    pass(65);
    client.send(`token ${await mint({ subscribe: [home] })}`);
    expect(await client.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/^expired: /) });
  });
});

describe("the expiry of a new token", () => {
  test("may be later than that of the old one, which then doesn't close the connection", async () => {
    const home = unique("home");
    const claims = { subscribe: [home], announce: [home] };
    const client = await connect(home, claims);
    pass(64);
    expect(await renew(client, { ...claims, exp: seconds() + 60 })).toEqual([accepted(60)]);
    await evict(home);
    pass(2);
    expect(await runDurableObjectAlarm(object(home))).toBe(true);
    await expectDelivery(client, home, client);
    expect(await alarmOf(home)).toBe((seconds() + 63) * 1000);
    await evict(home);
    pass(64);
    await runDurableObjectAlarm(object(home));
    expect(await client.closed).toMatchObject({ code: 1008 });
  });

  test("may be earlier, and counts then", async () => {
    const home = unique("home");
    const claims = { subscribe: [home], announce: [home] };
    const client = await connect(home, claims);
    const neighbour = await connect(home, claims);
    expect(await renew(client, { ...claims, exp: seconds() + 10 })).toEqual([accepted(10)]);
    expect(await alarmOf(home)).toBe((seconds() + 15) * 1000);
    await evict(home);
    pass(15);
    expect(await runDurableObjectAlarm(object(home))).toBe(true);
    expect(await client.closed).toMatchObject({ code: 1008 });
    await expectDelivery(neighbour, home, neighbour);
  });

  test("may be postponed repeatedly", async () => {
    const home = unique("home");
    const claims = { subscribe: [home], announce: [home] };
    const client = await connect(home, claims);
    for (let i = 0; i < 5; i++) {
      pass(50);
      expect(await renew(client, { ...claims, exp: seconds() + 60 })).toEqual([accepted(60)]);
      if (i % 2 === 0) await evict(home);
      await runDurableObjectAlarm(object(home));
      expect(await alarmOf(home)).toBe((seconds() + 65) * 1000);
    }
    await expectDelivery(client, home, client);
  });
});
