import { expect, test } from "vitest";
import { CallFailed } from "../../../src/runtime/runtime.ts";
import { MAX_OPENING_DEPTH, Peers } from "../../../src/tree/peers.ts";
import { settled } from "../settled.ts";
import { until } from "../until.ts";

/** A call in flight, and functions to end it. */
interface Made {
  object: string;
  hop: number;
  answer: () => void;
  fail: (cause: unknown) => void;
}

/** The peers of an object, whose calls the test answers, and whose time it sets. */
function peersOf() {
  const made: Made[] = [];
  const done = new Set<Made>();
  const opened: string[] = [];
  const sleeping: (() => void)[] = [];
  const runtime = {
    begunAnew: 0,
    comes: true,
    time: 0,
    now: () => runtime.time,
    sleeping,
    // Delays before repeated calls end at once, and longer ones when the test lets time pass.
    sleep: (milliseconds: number) =>
      milliseconds < 1_000 ? Promise.resolve() : new Promise<void>((wake) => sleeping.push(wake)),
    open: (object: string) => {
      opened.push(object);
      const call = (_: unknown, __: unknown, hop: number, abandoned?: Promise<void>) =>
        new Promise<never>((resolve, reject) => {
          const answer = () => {
            done.add(call);
            Reflect.apply(resolve, undefined, [undefined]);
          };
          const fail = (cause: unknown) => {
            done.add(call);
            reject(cause);
          };
          const call = { object, hop, fail, answer };
          made.push(call);
          void abandoned?.then(() => fail(new Error("abandoned")));
        });
      return { call };
    },
  };
  const goOffNow = () => {
    runtime.begunAnew += 1;
    return Promise.resolve(runtime.comes);
  };
  const peers = new Peers(runtime, { goOffNow }, () => {});
  const call = (object: string, size = 0) => {
    const lines = "x".repeat(size);
    return peers.call(object, "forward", { from: "me", number: 1, count: 1, lines });
  };
  const deliver = (object: string, size: number, hasOwnBudget: boolean) => {
    const delivery = { channel: "me", from: "me", epoch: 1, number: 1, after: 1, count: 1 };
    const flags = { again: false, lost: false, where: false };
    return peers.call(object, "deliver", { ...delivery, ...flags, lines: "x".repeat(size) }, hasOwnBudget);
  };
  const inFlight = () => made.filter((call) => !done.has(call));
  return { peers, runtime, made, opened, call, deliver, inFlight };
}

test("a chain of calls from object to object is never deeper than `DEEPEST_FRESH` + 1", async () => {
  let hop = 1;
  let deepest = 0;
  for (let link = 0; link < 100; link++) {
    const { peers, runtime, made, call } = peersOf();
    peers.arrived(hop);
    await settled();
    void call("next");
    if (made.length === 0) {
      expect(runtime.begunAnew).toBe(1);
      peers.arrived(1);
    }
    hop = made[0]?.hop ?? Number.NaN;
    deepest = Math.max(deepest, hop);
  }
  expect(deepest).toBe(MAX_OPENING_DEPTH + 1);
});

test("a stub is reused, and replaced by a better one", async () => {
  const { peers, opened, made, call } = peersOf();
  for (const hop of [4, 6, 2, 16]) {
    peers.arrived(hop);
    void call("other");
    await settled();
  }
  expect(opened).toEqual(["other", "other"]);
  expect(made.map(({ hop }) => hop)).toEqual([5, 5, 3, 3]);
});

test("after a while, only recent events and unanswered ones count for the depth", async () => {
  const { peers, runtime, made, call } = peersOf();
  void peers.answer(5, () => new Promise(() => {}));
  peers.arrived(1);
  await settled();
  void call("one");
  runtime.time = 10_000;
  peers.arrived(2);
  await settled();
  void call("two");
  expect(made.map(({ hop }) => hop)).toEqual([6, 6]);
});

test("an event counts for a second after its answer, which may not have been sent yet", async () => {
  const { peers, runtime, made, call } = peersOf();
  let finish = () => {};
  const answered = peers.answer(5, () => new Promise<void>((resolve) => (finish = resolve)));
  runtime.time = 10_000;
  peers.arrived(1);
  await settled();
  finish();
  await answered;
  void call("one");
  runtime.time = 13_000;
  peers.arrived(1);
  await settled();
  void call("two");
  expect(made.map(({ hop }) => hop)).toEqual([6, 2]);
});

test("if storage refuses the alarm, a call that needs one fails", async () => {
  const { peers, runtime, call } = peersOf();
  runtime.comes = false;
  peers.arrived(16);
  await settled();
  await expect(call("other")).rejects.toMatchObject({ why: "not made" });
});

test("a stub isn't reused after a failed call, unless the other object threw", async () => {
  const { peers, opened, made, call } = peersOf();
  for (const cause of [new Error("reset"), new CallFailed("overloaded", ""), new CallFailed("thrown", "")]) {
    peers.arrived(1);
    const failed = call("other");
    made.at(-1)?.fail(cause);
    await expect(failed).rejects.toBe(cause);
  }
  peers.arrived(1);
  void call("other");
  expect(opened).toHaveLength(3);
});

test("the next call to an object that may have crashed uses a new stub", async () => {
  const { peers, opened, made, call } = peersOf();
  peers.arrived(1);
  void call("other");
  made[0]?.answer();
  await settled();
  peers.forget("other");
  void call("other");
  expect(opened).toHaveLength(2);
});

test("if the platform refuses a better stub, the former one is used", async () => {
  const { peers, opened, made, call } = peersOf();
  peers.arrived(4);
  void call("other");
  made[0]?.answer();
  await settled();
  peers.arrived(2);
  void call("other");
  made[1]?.fail(new CallFailed("not made", "too many ways"));
  await settled();
  expect(opened).toHaveLength(2);
  expect(made.map(({ hop }) => hop)).toEqual([5, 3, 5]);
});

test("a call that the platform refused is made again from a new event, at most three times", async () => {
  const { peers, runtime, made, call } = peersOf();
  peers.arrived(1);
  const outcome = call("other").catch((error: unknown) => error);
  for (let remade = 0; remade < 3; remade++) {
    made.at(-1)?.fail(new CallFailed("not made", "too deep"));
    await settled();
    expect([made.length, runtime.begunAnew]).toEqual([remade + 1, remade + 1]);
    peers.arrived(1);
    await settled();
  }
  made.at(-1)?.fail(new CallFailed("not made", "too deep"));
  expect(await outcome).toBeInstanceOf(CallFailed);
});

/** Lets time pass, in milliseconds, and ends all delays. */
async function pass(runtime: { time: number; sleeping: (() => void)[] }, milliseconds: number): Promise<void> {
  runtime.time += milliseconds;
  for (const wake of runtime.sleeping.splice(0)) wake();
  await settled();
}

test("at most 200 calls are in flight, and at most 2,500,000 characters", async () => {
  const { peers, made, call } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 300; i++) void call(`object${i}`);
  await settled();
  expect(made).toHaveLength(200);
  for (const { answer } of made.slice()) answer();
  await settled();
  expect(made).toHaveLength(300);
  for (const { answer } of made.splice(0)) answer();
  await settled();
  for (let i = 0; i < 10; i++) void call(`object${i}`, 1_000_000);
  await settled();
  expect(made).toHaveLength(2);
  made[0]?.answer();
  await settled();
  expect(made).toHaveLength(3);
});

test.each([
  { what: "calls", size: 0 },
  { what: "characters", size: 64_000 },
])("many unresponsive objects delay calls to others only for a moment: $what", async ({ size }) => {
  const { peers, runtime, made, call, inFlight } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 1_000; i++) void call(`silent${i}`, size).catch(() => {});
  const isAnswered = call("prompt", size);
  // Calls take turns until it is known which objects answer.
  await until(
    () => made.some(({ object }) => object === "prompt"),
    async () => {
      peers.arrived(1);
      await pass(runtime, 1_000);
    },
  );
  made.at(-1)?.answer();
  await isAnswered;
  for (let second = 0; second < 60; second++) {
    peers.arrived(1);
    for (let i = 0; i < 10; i++) void call(`silent${i}`, size).catch(() => {});
    const before = made.length;
    const answered = call("prompt", size);
    await (second % 2 === 0 ? pass(runtime, 1_000) : settled());
    expect(made.slice(before).map(({ object }) => object)).toContain("prompt");
    made.find(({ object }, i) => i >= before && object === "prompt")?.answer();
    await answered;
    expect(inFlight().length).toBeLessThanOrEqual(size === 0 ? 600 : 7_500_000 / size);
  }
});

test("after a pause, only an announcement gets a new stub, because it isn't repeated", async () => {
  const { peers, runtime, made, opened, call, deliver } = peersOf();
  const pass = async (milliseconds: number) => {
    await settled();
    made.at(-1)?.answer();
    await settled();
    runtime.time += milliseconds;
    peers.arrived(1);
  };
  peers.arrived(1);
  void deliver("other", 1, false);
  await pass(2_000);
  void deliver("other", 1, false);
  await pass(2_000);
  expect(opened).toEqual(["other"]);
  void call("other");
  await settled();
  expect(opened).toEqual(["other", "other"]);
});

test("a call with a budget of its own doesn't wait", async () => {
  const { peers, made, call, deliver } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 300; i++) void call(`object${i}`, 1_000_000);
  await settled();
  const before = made.length;
  // 100 links have 80,000 of 8,000,000 characters each.
  for (let i = 0; i < 100; i++) void deliver(`link${i}`, 80_000, true);
  void deliver("large", 80_001, false);
  await settled();
  expect(made.slice(before).map(({ object }) => object)).toEqual(Array.from({ length: 100 }, (_, i) => `link${i}`));
});

test("one event makes at most 900 calls, and more calls wait for a new event", async () => {
  const { peers, runtime, made, call } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 1_000; i++) {
    void call("other");
    await settled();
    if (i < 900) made[i]?.answer();
  }
  expect([made.length, runtime.begunAnew > 0]).toEqual([900, true]);
  peers.arrived(1);
  await settled();
  expect(made).toHaveLength(1_000);
});

test("the 500 stubs used last are kept", async () => {
  const { peers, opened, made, call } = peersOf();
  peers.arrived(1);
  const used = Array.from({ length: 501 }, (_, i) => `object${i}`);
  for (const object of [...used, "object2", "object1", "object0"]) {
    const done = call(object);
    made.at(-1)?.answer();
    await done;
  }
  expect(opened).toEqual([...used, "object0"]);
});
