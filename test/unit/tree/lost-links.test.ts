/** Reports the loss of a link to an unreachable object later, even without other messages. */
import { expect, test } from "vitest";
import { storeOf } from "../../simulation/store.ts";
import { settled } from "../settled.ts";
import { fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** The times of attempts, in seconds. */
type Times = number[];

/** The time, and whether storage accepts rows. */
interface Platform {
  now: number;
  accepts: boolean;
}

/** An object whose links are unreachable, on a platform that the test controls. `alarms` are the times of its alarms. */
function objectOf(rows: Map<string, unknown>, platform: Platform, isReachable = () => false, name = "news") {
  const attempts: Times = [];
  const alarms: number[] = [];
  const deliver = async () => {
    attempts.push(platform.now / 1000);
    if (!isReachable()) throw new Error("it can't be reached");
    return { gone: true } as const;
  };
  const due = (at: number) => void (Number.isFinite(at) && alarms.push(at));
  const store = storeOf(rows, () => platform.accepts);
  const runtime = { ...fakeRuntime(name, rows, { deliver }), store, now: () => platform.now };
  const limits = { historySeconds: 0, historyBytes: 0 };
  const downstream = new LinkedChannel(runtime, 1_000_000, limits, { due }, noKeeper);
  return { downstream, attempts, alarms };
}

/**
 * Returns an object with a link that was unreachable for a delivery, and for the report of its loss.
 * @param accepts whether storage accepts rows meanwhile
 */
async function lostLink(accepts = true) {
  const rows = new Map<string, unknown>();
  const platform = { now: 1_000_000, accepts: true };
  const object = objectOf(rows, platform);
  object.downstream.link({ from: "home", epoch: 1 });
  platform.accepts = accepts;
  object.downstream.append("news!a\n", 1);
  object.downstream.flush();
  await settled();
  const isSettled = object.downstream.settle(false);
  return { ...object, rows, platform, isSettled };
}

test("a loss that couldn't be reported is stored, and retried ten seconds later", async () => {
  const { downstream, rows, attempts, alarms } = await lostLink();
  expect(attempts).toHaveLength(10);
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 1_000_000 });
  expect([downstream.lossReportAt, ...alarms]).toEqual([1_010_000, 1_010_000]);
});

test("a loss that storage refuses keeps the object in memory until storage accepts it", async () => {
  const { downstream, rows, platform, isSettled } = await lostLink(false);
  expect([isSettled, rows.get("downstream:home")]).toEqual([false, { epoch: 1, lostAt: undefined }]);
  platform.accepts = true;
  expect(downstream.settle(false)).toBe(true);
  expect(rows.get("downstream:home")).toEqual({ epoch: 1, lostAt: 1_000_000 });
});

test("a loss isn't reported earlier because of other messages, and doesn't keep the object in memory", async () => {
  const { downstream, attempts, platform } = await lostLink();
  platform.now += 4_000;
  downstream.append("news!b\n", 1);
  downstream.flush();
  downstream.reportLosses();
  await settled();
  expect(attempts).toHaveLength(10);
  expect(downstream.settle(false)).toBe(true);
});

test("the delay between reports of a loss grows up to ten minutes", async () => {
  const { rows, platform } = await lostLink();
  const times: Times = [];
  for (let wake = 0; wake < 10; wake++) {
    const { downstream, attempts } = objectOf(rows, platform);
    platform.now = downstream.lossReportAt;
    downstream.reportLosses();
    await settled();
    times.push((attempts[0] ?? 0) - 1_000);
  }
  expect(times).toEqual([10, 20, 40, 80, 160, 320, 640, 1_240, 1_840, 2_440]);
});

test("an object that wakes for another reason reports the loss at its alarm, and ends the link then", async () => {
  const { rows, platform } = await lostLink();
  const { downstream, attempts } = objectOf(rows, platform, () => true);
  downstream.flush();
  await settled();
  expect(attempts).toEqual([]);
  downstream.reportLosses();
  await settled();
  expect(attempts).toHaveLength(1);
  expect(rows).toEqual(new Map());
  expect(downstream.lossReportAt).toBe(Number.POSITIVE_INFINITY);
});

test("losses at nearly the same time are reported together", async () => {
  const { downstream, platform } = await lostLink();
  platform.now += 3_000;
  downstream.link({ from: "other", epoch: 1 });
  downstream.append("news!b\n", 1);
  downstream.flush();
  await settled();
  platform.now = downstream.lossReportAt;
  expect(platform.now).toBe(1_010_000);
  downstream.reportLosses();
  await settled();
  expect(downstream.lossReportAt).toBe(platform.now + 10_000);
});

test.each(["news", "news!1"])("links of %s are lost if storage has them, but not the order", async (name) => {
  const rows = new Map<string, unknown>([["downstream:home", { epoch: 1, lostAt: undefined }]]);
  const { downstream, attempts } = objectOf(rows, { now: 1_000_000, accepts: true }, () => true, name);
  expect(downstream.lossReportAt).toBe(1_010_000);
  downstream.flush();
  await settled();
  expect([attempts.length, rows.size]).toEqual([1, 0]);
});
