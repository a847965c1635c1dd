/** What any object knows of the whole service: its figures, its channels and its revocations. */
import { expect, test } from "vitest";
import { noTotals } from "../../../src/stats/totals.ts";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";
import { Service } from "./service.ts";

const EVERYTHING = { prefix: "", after: "", limit: 10 };

test("info adds up all objects, whichever object answers", async () => {
  const service = new Service();
  const [ann, bob] = [await service.connect("news"), await service.connect("chat")];
  await ann.ask("subscribe sport", "subscribe chat");
  for (const [one, other] of [
    [ann, "chat"],
    [bob, "news"],
  ] as const) {
    const answer = await one.ask("info");
    expect(answer).toEqual(
      expect.arrayContaining([
        "current connections: 2",
        "current channels: 4",
        "current subscriptions: 6",
        "user-requested subscriptions: 4",
      ]),
    );
    service.hibernate(other);
  }
});

test("missed messages count as sent", async () => {
  const service = new Service();
  const ann = await service.connect("news");
  await ann.ask("announce news a", "announce news b");
  const totalOf = async () =>
    Number((await ann.ask("info")).find((line) => line.startsWith("total messages: "))?.slice(16));
  const before = await totalOf();
  expect((await service.connect("chat")).lines).not.toContain("news!a");
  const bob = await service.connect("news", { last: 5 });
  expect(bob.read()).toEqual(expect.arrayContaining(["news!a", "news!b"]));
  expect(await totalOf()).toBe(before + 2);
});

test("an object that unlinks leaves its counters to the root of `all`", async () => {
  const { broker } = objectOf();
  await broker.called("link", { from: "room", epoch: 1 }, 2);
  const counters = { totals: { ...noTotals(), pings: 7 }, peak: 5 };
  await broker.called("unlink", { from: "room", epoch: 1, counters }, 2);
  expect(await broker.called("serviceFigures", undefined, 2)).toMatchObject({ totals: { pings: 7 }, peak: 5 });
});

test("a list of channels counts the objects below that didn't answer", async () => {
  const { broker } = objectOf({
    others: {
      channels: async (object) => {
        if (object === "lost") throw new Error("no answer");
        return { channels: [{ channel: `of-${object}`, subscribers: 1, hasMembers: false }], unreachable: 2 };
      },
    },
  });
  for (const from of ["b", "lost", "a"]) await broker.called("link", { from, epoch: 1 }, 2);
  const { channels, unreachable } = await broker.called("channels", EVERYTHING, 2);
  expect(channels.map(({ channel }) => channel)).toEqual(["of-a", "of-b"]);
  expect(unreachable).toBe(5);
});

test("the root of a presence channel lists the members of its subject only", async () => {
  const service = new Service();
  const ann = await service.connect("news");
  await ann.ask("enter news ann", "subscribe sport");
  const { channels } = await service.broker("presence/news").called("channels", EVERYTHING, 2);
  expect(channels).toEqual([{ channel: "news", subscribers: 0, hasMembers: false, members: 1 }]);
});

test("no client announces on a presence channel, also by way of another object", async () => {
  const service = new Service();
  const root = service.broker("presence/news");
  const announcement = { lines: "presence/news!enter eve\n", count: 1 };
  await expect(root.called("announce", announcement, 2)).rejects.toThrow("only the server announces");
  const batch = { ...announcement, from: "home", number: 1 };
  await expect(root.called("forward", batch, 2)).rejects.toThrow("only the server announces");
  await settled();
  expect(service.rows("presence/news").size).toBe(0);
});

test("the root of `all` asks all objects with the same seed, and answers info itself", async () => {
  const seeds: number[] = [];
  const { broker, open } = objectOf({
    platform: { random: () => 0.5 },
    others: {
      figures: (_, { seed }) => {
        seeds.push(seed);
        throw new Error("no answer");
      },
    },
  });
  const socket = await open();
  await broker.called("link", { from: "room", epoch: 1 }, 2);
  broker.received(socket, "info");
  await settled();
  expect(seeds).toEqual([2 ** 31]);
  expect(socket.lines).toEqual(expect.arrayContaining(["current connections: 1", "unreachable objects: 1"]));
});

test("the most connections at a time count after they have closed", async () => {
  const { broker, open } = objectOf();
  for (const socket of [await open(), await open(), await open()]) broker.closed(socket);
  await settled();
  expect(await broker.called("serviceFigures", undefined, 2)).toMatchObject({ connections: 0, peak: 3 });
});

test("the root of `all` grants connections itself, and others claim them, again if they are asked to", async () => {
  const limits = { clientLimit: 1 };
  const root = objectOf({ limits });
  const [one, two] = [await root.open(), await root.open()];
  expect([one.closed, two.closed]).toEqual([undefined, expect.stringMatching(/busy|full|limit/)]);
  const claims: number[] = [];
  const others = {
    link: async () => ({ after: 1 }),
    claim: async (_: string, { held, wanted }: { held: number; wanted: number }) => {
      claims.push(held);
      return wanted;
    },
  };
  const object = objectOf({ name: "room", limits, others });
  await object.open();
  expect(claims).toEqual([0]);
  await object.broker.called("recount", undefined, 2);
  await settled();
  expect(claims).toEqual([0, 1]);
});
