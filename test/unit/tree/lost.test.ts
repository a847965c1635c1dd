/** A link is lost, and its object can't be reached to be told so: it is told later, without anything else to send. */
import { expect, test } from "vitest";
import { noKeeper, stillWorld } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** Seconds after which the link was lost, and was tried again. */
type Times = number[];

/** An object whose links can't be reached, by a clock that the test sets; `alarms` has for when it is to wake. */
function objectOf(
  rows: Map<string, unknown>,
  clock: { now: number },
  isReachable = () => false,
  name = "news",
) {
  const tried: Times = [];
  const alarms: number[] = [];
  const deliver = async () => {
    tried.push(clock.now / 1000);
    if (!isReachable()) throw new Error("it can't be reached");
    return { gone: true } as const;
  };
  const due = (at: number) => void (Number.isFinite(at) && alarms.push(at));
  const runtime = { ...stillWorld(name, rows, { deliver }), now: () => clock.now };
  const limits = { historySeconds: 0, historyBytes: 0 };
  const downstream = new LinkedChannel(runtime, 1_000_000, limits, { due }, noKeeper);
  return { downstream, tried, alarms };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await undefined;
}

/** A link that could not be reached for as often as a delivery is repeated, and then as often again. */
async function lostLink() {
  const rows = new Map<string, unknown>();
  const clock = { now: 1_000_000 };
  const object = objectOf(rows, clock);
  object.downstream.link({ from: "home", epoch: 1 });
  object.downstream.append("news!a\n", 1);
  object.downstream.flush();
  await settled();
  object.downstream.settle(false);
  return { ...object, rows, clock };
}

test("what a link could not be told is due ten seconds later, and noted in storage", async () => {
  const { downstream, rows, tried, alarms } = await lostLink();
  expect(tried).toHaveLength(10);
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 1_000_000 });
  expect([downstream.retellAt, ...alarms]).toEqual([1_010_000, 1_010_000]);
});

test("traffic does not have it tried before that, and it does not keep the object in memory", async () => {
  const { downstream, tried, clock } = await lostLink();
  clock.now += 4_000;
  downstream.append("news!b\n", 1);
  downstream.flush();
  downstream.retell();
  await settled();
  expect(tried).toHaveLength(10);
  expect(downstream.settle(false)).toBe(true);
});

test("the longer it has been lost the more rarely it is tried, at least every ten minutes", async () => {
  const { rows, clock } = await lostLink();
  const times: Times = [];
  for (let life = 0; life < 10; life++) {
    const { downstream, tried } = objectOf(rows, clock);
    clock.now = downstream.retellAt;
    downstream.retell();
    await settled();
    times.push((tried[0] ?? 0) - 1_000);
  }
  expect(times).toEqual([10, 20, 40, 80, 160, 320, 640, 1_240, 1_840, 2_440]);
});

test("an object that wakes for something else waits for its alarm, and then ends the link when it can", async () => {
  const { rows, clock } = await lostLink();
  const { downstream, tried } = objectOf(rows, clock, () => true);
  downstream.flush();
  await settled();
  expect(tried).toEqual([]);
  downstream.retell();
  await settled();
  expect(tried).toHaveLength(1);
  expect(rows).toEqual(new Map());
  expect(downstream.retellAt).toBe(Number.POSITIVE_INFINITY);
});

test("links that were lost at nearly the same time are tried together", async () => {
  const { downstream, clock } = await lostLink();
  clock.now += 3_000;
  downstream.link({ from: "other", epoch: 1 });
  downstream.append("news!b\n", 1);
  downstream.flush();
  await settled();
  clock.now = downstream.retellAt;
  expect(clock.now).toBe(1_010_000);
  downstream.retell();
  await settled();
  expect(downstream.retellAt).toBe(clock.now + 10_000);
});

test.each(["news", "news!1"])(
  "links of %s are lost if storage took them, and nothing of the order",
  async (name) => {
    const rows = new Map<string, unknown>([["downstream:home", { epoch: 1, lostAt: undefined }]]);
    const { downstream, tried } = objectOf(rows, { now: 1_000_000 }, () => true, name);
    expect(downstream.retellAt).toBe(1_010_000);
    downstream.flush();
    await settled();
    expect([tried.length, rows.size]).toEqual([1, 0]);
  },
);
