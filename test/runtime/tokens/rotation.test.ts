/**
 * When the secret changes, or whether tokens are required, an object closes outdated connections at the first event
 * after its next start.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { formatUpgrade } from "../../../src/worker/upgrade.ts";
import { Client, type Closing } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import { bearer, EVERYTHING, mint, SECRET } from "../support/mint.ts";
import { configure, evict, keys, object, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const NEXT = "the next secret of the tests, of more than 32 bytes";

const outdated: Closing = {
  code: 1008,
  reason: "expired: your token's key is no longer valid; connect again with a new token",
};
const missing: Closing = {
  code: 1008,
  reason: "expired: this server requires a token now; connect again with one",
};
const needless: Closing = {
  code: 1013,
  reason: "unavailable: this server no longer requires tokens; connect again",
};

async function connect(channel: string, secret = SECRET, claims: object = {}): Promise<Client> {
  return Client.connect(channel, bearer(await mint({ ...EVERYTHING, ...claims }, secret)));
}

/** Connects while the server requires no tokens. */
async function connectOpenly(channel: string): Promise<Client> {
  configure({ TOKEN_SECRET: "" });
  return Client.connect(channel);
}

describe("a rotated secret", () => {
  test("keeps connections open while it is the previous one, and closes them after that", {
    tags: ["close-outdated", "token-rotation"],
  }, async () => {
    const room = unique("room");
    const [stays, renews] = [await connect(room), await connect(room)];
    configure({ TOKEN_SECRET: NEXT, TOKEN_SECRET_PREVIOUS: SECRET });
    await evict(room);
    await expectDelivery(stays, room, stays, renews);
    const late = await connect(room);
    const early = await connect(room, NEXT);
    renews.send(`token ${await mint(EVERYTHING, NEXT)}`);
    expect(await renews.ping()).toEqual([expect.stringMatching(/^debug!token accepted/)]);
    await expectDelivery(early, room, stays, renews, late, early);

    configure({ TOKEN_SECRET_PREVIOUS: "" });
    await evict(room);
    await expectDelivery(early, room, renews, early);
    expect(await Promise.all([stays.closed, late.closed])).toEqual([outdated, outdated]);
    await expect(connect(room)).rejects.toThrow("401");
  });

  test("closes them when anything wakes their object: a message, a call, its alarm or a new connection", async () => {
    const wakes: ((room: string, client: Client) => Promise<unknown>)[] = [
      async (_, client) => client.send("ping"),
      async (room) => {
        const headers = bearer(await mint(EVERYTHING, NEXT));
        await exports.default.fetch(`http://fanout.test/${room}`, { method: "POST", body: "x", headers });
      },
      async (room) => {
        await runInDurableObject(object(room), (_, { storage }) => storage.setAlarm(Date.now() + 3_600_000));
        await evict(room);
        await runDurableObjectAlarm(object(room));
      },
      (room) => connect(room, NEXT),
    ];
    for (const wake of wakes) {
      configure({ TOKEN_SECRET: SECRET });
      const room = unique("room");
      const client = await connect(room);
      configure({ TOKEN_SECRET: NEXT });
      await evict(room);
      await wake(room, client);
      expect(await client.closed).toEqual(outdated);
      expect(await client.untilClosed()).toEqual([]);
    }
  });

  test("leaves nothing behind of the connections that it closes", async () => {
    const [room, home] = [unique("room"), unique("home")];
    const client = await connect(home);
    await sendAll([client], `subscribe ${room}`);
    configure({ TOKEN_SECRET: NEXT });
    await evict(home);
    const neighbour = await connect(home, NEXT);
    expect(await client.closed).toEqual(outdated);
    await expectDelivery(neighbour, home, neighbour);
    await evict(home);
    expect(await keys(room, "downstream:")).toEqual([]);
  });

  test("has the same effect as another audience or issuer", async () => {
    for (const setting of ["TOKEN_AUDIENCE", "TOKEN_ISSUER"]) {
      const room = unique("room");
      const client = await connect(room);
      configure({ [setting]: "fanout" });
      await evict(room);
      client.send("ping");
      expect(await client.closed).toEqual(outdated);
      const claim = setting === "TOKEN_AUDIENCE" ? "aud" : "iss";
      await expect(connect(room)).rejects.toThrow("401");
      await (await connect(room, SECRET, { [claim]: "fanout" })).close();
      configure({ [setting]: "" });
    }
  });
});

test("connections without tokens are closed when the server requires them", {
  tags: ["close-unauthorized"],
}, async () => {
  const room = unique("room");
  const client = await connectOpenly(room);
  configure({ TOKEN_SECRET: SECRET });
  await evict(room);
  client.send(`announce ${room} x`);
  expect(await client.closed).toEqual(missing);
});

test("connections with tokens are closed when the server requires none, because they couldn't be renewed", {
  tags: ["close-settings"],
}, async () => {
  const room = unique("room");
  const client = await connect(room);
  const other = await connectOpenly(room).catch((error: unknown) => error);
  // The object is still in memory with other settings than the Worker.
  expect(String(other)).toMatch(/503 The settings of the server are changing; connect again\./);
  await evict(room);
  client.send("ping");
  expect(await client.closed).toEqual(needless);
  await (await Client.connect(room)).close();
});

describe("an object refuses upgrades of a Worker with other settings:", () => {
  async function upgrade(room: string, grants: Parameters<typeof formatUpgrade>[0]["grants"]) {
    const headers = formatUpgrade({
      ...{ region: "", full: "", below: false, from: undefined, subprotocol: undefined },
      grants,
    });
    const response = await object(room).fetch("http://object/", { headers });
    return [response.status, response.webSocket];
  }

  const grants = { ...EVERYTHING, until: Date.now() + 3_600_000 };

  test("without grants if it requires tokens", async () => {
    expect(await upgrade(unique("room"), undefined)).toEqual([503, null]);
  });

  test("with grants of another key", async () => {
    expect(await upgrade(unique("room"), { ...grants, key: "another" })).toEqual([503, null]);
  });

  test("with grants if it requires none", async () => {
    configure({ TOKEN_SECRET: "" });
    expect(await upgrade(unique("room"), { ...grants, key: "another" })).toEqual([503, null]);
  });

  test("clients with tokens of a new secret connect as soon as the object knows it", async () => {
    const room = unique("room");
    const client = await connect(room);
    configure({ TOKEN_SECRET: NEXT });
    const headers = { Upgrade: "websocket", ...bearer(await mint(EVERYTHING, NEXT)) };
    const refused = await exports.default.fetch(`http://fanout.test/${room}`, { headers });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("Fanout-Error")).toBe("unavailable");
    expect(refused.headers.get("Retry-After")).toBe("5");
    await evict(room);
    const late = await connect(room, NEXT);
    expect(await client.closed).toEqual(outdated);
    await expectDelivery(late, room, late);
  });
});

test.each([
  ["an invalid list of channels", () => ({ channels: "room" })],
  ["empty grants", (room: string) => ({ channels: [room], grants: {} })],
  ["grants without a key", (room: string) => ({ channels: [room], grants: { ...EVERYTHING, until: 1e15 } })],
  [
    "an invalid expiry",
    (room: string) => ({ channels: [room], grants: { ...EVERYTHING, until: Number.NaN, key: "" } }),
  ],
])("a connection whose state can't be read is closed: %s", async (_, state) => {
  const room = unique("room");
  const client = await connect(room);
  // While the object is in memory, it may write more rows.
  await evict(room);
  await runInDurableObject(object(room), (_, context) => {
    for (const socket of context.getWebSockets()) socket.serializeAttachment(state(room));
  });
  await evict(room);
  client.send("ping");
  expect(await client.closed).toEqual({
    code: 1013,
    reason: "unavailable: its state can't be read; connect again",
  });
});

test("connections of an object with invalid settings are closed with the reason", async () => {
  const room = unique("room");
  const client = await connect(room);
  configure({ LINES_PER_SECOND: "x" });
  await evict(room);
  const left = await runInDurableObject(object(room), (channel, context) => {
    const sockets = context.getWebSockets();
    for (const socket of sockets) channel.webSocketMessage(socket, "ping");
    return sockets.map((socket) => socket.deserializeAttachment());
  });
  // Otherwise, once the settings are right, the object would take a connection for open whose client is slow to close it.
  expect(left).toEqual([null]);
  expect(await client.closed).toEqual({
    code: 1013,
    reason: expect.stringMatching(/^unavailable: the settings of the channel's object are wrong: LINES_PER_SECOND/),
  });
  configure({ LINES_PER_SECOND: "10000" });
  await evict(room);
  await (await connect(room)).close();
});
