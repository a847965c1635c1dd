/** After a failed claim, the alarm stays set until the claim has been made. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import type { ConnectionClaim } from "../../../src/runtime/calls.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";

test("a quiet second doesn't cancel the retry of a failed claim", async () => {
  let alarm: number | undefined;
  let now = 100;
  let isUp = false;
  const timers: (() => void)[] = [];
  const rows = new Map<string, unknown>();
  const others = {
    link: () => Promise.resolve({ after: 0 }),
    claim: (_: string, { wanted }: ConnectionClaim) =>
      isUp ? Promise.resolve(wanted) : Promise.reject(new Error("lost")),
  };
  const runtime = {
    ...fakeRuntime("news", rows, others),
    now: () => now,
    after: (_: number, act: () => void) => void timers.push(act),
    alarm: (time: number) => {
      alarm = time;
      return Promise.resolve(true);
    },
    alarmTime: () => alarm,
  };
  const quietSecond = async () => {
    for (const act of timers.splice(0)) act();
    await settled();
  };
  const broker = new Broker(runtime, socketsOf(), { ...readLimits({}), clientLimit: 5 }, undefined).start();
  broker.opened(new ClientSocket());
  await settled();
  expect(alarm).toBe(10_100);
  await quietSecond();
  await quietSecond();
  expect(alarm).toBe(10_100);
  now = alarm ?? 0;
  isUp = true;
  alarm = undefined;
  broker.alarmed();
  await settled();
  await quietSecond();
  await quietSecond();
  expect(rows.get("told")).toBe(1);
});
