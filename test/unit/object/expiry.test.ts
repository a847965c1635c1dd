/** Grants that expire while storage refuses alarms: the object checks the clock at each event. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import { objectOf } from "./object.ts";

const EXPIRED = /^expired: /;
const granted = (until: number) => ({ subscribe: ["*"], announce: ["*", "all"], until, key: "key" });
const guard = {
  keys: new Set(["key"]),
  verify: () => Promise.reject(new Error("no token is renewed in this test")),
};
const noAlarm = { alarm: () => Promise.resolve(false) };

test("a connection gets no messages after its grants have expired", async () => {
  const { broker, clock, open } = objectOf({ platform: noAlarm });
  const [short, long] = [await open(granted(2_000)), await open(granted(9_000))];
  broker.received(long, "announce all before");
  await settled();
  clock.now = 2_000;
  broker.received(long, "announce all after");
  await settled();
  expect([short.lines, long.lines]).toEqual([["all!before"], ["all!before", "all!after"]]);
  expect([short.closed, long.closed]).toEqual([expect.stringMatching(EXPIRED), undefined]);
});

test("a connection gets no messages if its grants expire between the announcement and the flush", async () => {
  let onTurn = () => {};
  const turn = async () => onTurn();
  const { broker, clock, open } = objectOf({ platform: { ...noAlarm, turn } });
  const [short, long] = [await open(granted(2_000)), await open(granted(9_000))];
  onTurn = () => {
    clock.now = 2_000;
  };
  broker.received(long, "announce all late");
  await settled();
  expect([short.lines, long.lines]).toEqual([[], ["all!late"]]);
  expect(short.closed).toMatch(EXPIRED);
});

test("a delivery from another object closes an expired connection too", async () => {
  const others = {
    link: async () => ({ after: 10 }),
    unlink: async () => undefined,
  };
  const { broker, clock, open } = objectOf({ name: "news", others, platform: noAlarm });
  const socket = await open(granted(2_000));
  expect(socket.closed).toBeUndefined();
  clock.now = 2_000;
  const delivery = { channel: "all", from: "all", epoch: 1_000, number: 1, after: 10, count: 1 };
  const flags = { again: false, lost: false, where: false };
  void broker.called("deliver", { ...delivery, ...flags, lines: "all!late\n" }, 2);
  await settled();
  expect([socket.lines, socket.closed]).toEqual([[], expect.stringMatching(EXPIRED)]);
});

test("a connection's commands are executed until its grants expire", async () => {
  const { broker, clock, open } = objectOf({
    platform: {
      ...noAlarm,
      sleep: async (milliseconds) => {
        if (milliseconds === 0) clock.now = 2_000;
      },
    },
  });
  const [short, long] = [await open(granted(2_000)), await open(granted(9_000))];
  broker.received(short, `${"announce all x\nping\n".repeat(4_900)}announce all last`);
  for (let i = 0; i < 10; i++) await settled();
  expect(short.closed).toMatch(EXPIRED);
  expect(long.lines.length).toBeGreaterThan(1_000);
  expect(long.lines).not.toContain("all!last");
});

test("an object that wakes with expired connections sends them no messages, whatever wakes it", async () => {
  const hibernated = [2_000, 9_000].map((until) => new ClientSocket({ channels: ["all"], grants: granted(until) }));
  const [short, long] = hibernated;
  if (!short || !long) throw new Error("there are two sockets");
  const { broker, clock } = objectOf({ hibernated, guard, platform: noAlarm });
  clock.now = 5_000;
  await broker.called("announce", { lines: "all!posted\n", count: 1 }, 2);
  await settled();
  expect([short.lines, short.closed]).toEqual([[], expect.stringMatching(EXPIRED)]);
  expect([long.lines, long.closed]).toEqual([["all!posted"], undefined]);
});

test("an alarm that storage refused is set once storage accepts it", async () => {
  const alarms: number[] = [];
  const timers: (() => void)[] = [];
  let accepts = false;
  const { open, clock } = objectOf({
    platform: {
      after: (_, act) => void timers.push(act),
      alarm: async (time) => {
        if (accepts) alarms.push(time);
        return accepts;
      },
    },
  });
  await open(granted(60_000));
  expect(alarms).toEqual([]);
  accepts = true;
  for (let second = 0; second < 3; second++) {
    clock.now += 1_000;
    for (const act of timers.splice(0)) act();
    await settled();
  }
  expect(alarms).toEqual([60_000]);
});
