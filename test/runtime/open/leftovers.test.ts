/** Unused channels leave nothing in storage, however many a client uses. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import worker from "../../../src/worker.ts";
import { Client, closeAll } from "../support/client.ts";
import { expectDelivery, sendAll } from "../support/connections.ts";
import {
  crashBusy,
  evictAll,
  hold,
  keys,
  object,
  resetService,
  rows,
  settleQuickly,
  unique,
} from "../support/service.ts";
import { figures } from "../support/stats.ts";
import { StreamReader } from "../support/stream-reader.ts";

settleQuickly();

beforeEach(() => resetService());
afterEach(closeAll);

const MANY = 50;
/** Many channels take a long time on a busy machine. */
const timeout = 300_000;

const names = () => Array.from({ length: MANY }, () => unique("random"));

async function expectEmpty(objects: string[]): Promise<void> {
  await evictAll();
  for (const name of objects) expect(await keys(name)).toEqual([]);
}

test("subscribing and unsubscribing leaves nothing", { tags: ["idle-free"], timeout }, async () => {
  const home = unique("home");
  const client = await Client.connect(home);
  await evictAll();
  const [before, beforeAtAll] = [await keys(home), await keys("all")];
  const channels = names();
  for (const channel of channels) {
    await sendAll([client], `subscribe ${channel}\nannounce ${channel.slice(1)} 1\nunsubscribe ${channel}`);
  }
  await expectEmpty([...channels, ...channels.map((channel) => channel.slice(1))]);
  expect(await keys(home)).toEqual(before);
  expect(await keys("all")).toEqual(beforeAtAll);
});

test("connecting leaves nothing, however the connections end", { timeout }, async () => {
  const channels = names();
  for (let from = 0; from < MANY; from += 20) {
    const clients = await Promise.all(channels.slice(from, from + 20).map((name) => Client.connect(name)));
    await Promise.all(clients.map((client, i) => (i % 2 ? client.close() : client.closeWithoutCode())));
  }
  await expectEmpty(channels);
  expect(await keys("all")).toEqual(["service"]);
});

describe("a stream leaves no connection at its object", () => {
  /**
   * Polls an object until it has so many connections, for which there is no event. A minute after a client has read
   * something, the Worker would end its connection in any case.
   */
  const expectConnections = (room: string, count: number) =>
    expect
      .poll(() => runInDurableObject(object(room), (_, context) => context.getWebSockets().length), {
        timeout: 50_000,
      })
      .toBe(count);

  test("when its client leaves", async () => {
    const room = unique("room");
    const reader = await StreamReader.open(`/${room}`);
    await reader.upTo("debug!connected...\n");
    await expectConnections(room, 1);
    reader.leave();
    await expectConnections(room, 0);
  });

  test("when its client leaves before it is answered", async () => {
    const room = unique("room");
    const linking = hold("all", "link");
    const leaving = new AbortController();
    const answered = exports.default.fetch(`http://fanout.test/${room}`, { signal: leaving.signal });
    await linking.begun();
    await expectConnections(room, 1);
    leaving.abort();
    await expect(answered).rejects.toThrow();
    await expectConnections(room, 0);
  });

  test("when a surrounding Worker cancels its response, without a signal", async () => {
    const room = unique("room");
    const { body } = await worker.fetch(new Request(`http://fanout.test/${room}`), { CHANNEL: exports.Channel });
    await expectConnections(room, 1);
    await body?.cancel();
    await expectConnections(room, 0);
  });
});

describe("the storage", () => {
  /** Polls an object until it is idle, for which there is no event. */
  const expectEmpty = (name: string) => expect.poll(() => rows(name)).toEqual([]);

  test("of an unused object is empty", async () => {
    const [room, home, third] = [unique("room"), unique("home"), unique("third")];
    const [local, remote] = await Promise.all([Client.connect(room), Client.connect(home)]);
    await sendAll([remote], `subscribe ${room}\nsubscribe ${third}`);
    await expectDelivery(local, room, local, remote);
    await expectDelivery(local, third, remote);
    await expectDelivery(remote, "all", local, remote);
    for (const name of [room, home, third]) expect(await rows(name)).not.toEqual([]);
    await remote.close();
    for (const name of [home, third]) await expectEmpty(name);
    await local.close();
    await expectEmpty(room);
    expect(await keys("all")).toEqual(["service"]);
  });

  test("of an object that only received announcements is empty", async () => {
    const third = unique("third");
    const client = await Client.connect();
    await sendAll([client], `announce ${third} 1`);
    await expectEmpty(third);
  });

  test("of an object that closed its connections because of missed messages is empty", async () => {
    const home = unique("home");
    const client = await Client.connect(home);
    await evictAll();
    await crashBusy("all");
    const asker = await Client.connect();
    await client.closed;
    await expectEmpty(home);
    expect(await figures(asker)).toMatchObject({ "total connections": 2, "current connections": 1 });
  });
});
