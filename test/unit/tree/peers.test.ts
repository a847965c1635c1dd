import { expect, test } from "vitest";
import { CallFailed } from "../../../src/runtime/runtime.ts";
import { EventCounters } from "../../../src/stats/event-counters.ts";
import { MAX_OPENING_DEPTH, Peers } from "../../../src/tree/peers.ts";

/** A call under way: what it is, and how to end it. */
interface Made {
  object: string;
  hop: number;
  answer: () => void;
  fail: (cause: unknown) => void;
}

/** Peers of one object, whose calls the test answers, and whose time it sets. */
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
    // Waits for a call to be made again are over at once, longer ones when the test says so.
    sleep: (milliseconds: number) =>
      milliseconds < 1_000 ? Promise.resolve() : new Promise<void>((wake) => sleeping.push(wake)),
    open: (object: string) => {
      opened.push(object);
      const call = (_: unknown, __: unknown, hop: number, givenUp?: Promise<void>) =>
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
          void givenUp?.then(() => fail(new Error("given up")));
        });
      return { call };
    },
  };
  const goOffNow = () => {
    runtime.begunAnew += 1;
    return Promise.resolve(runtime.comes);
  };
  const peers = new Peers(runtime, { goOffNow }, new EventCounters());
  const call = (object: string, size = 0) => {
    const lines = "x".repeat(size);
    return peers.call(object, "forward", { from: "me", number: 1, count: 1, lines });
  };
  const deliver = (object: string, size: number, hasOwnBudget: boolean) => {
    const delivery = { channel: "me", from: "me", epoch: 1, number: 1, after: 1, count: 1 };
    const flags = { again: false, lost: false, where: false };
    return peers.call(object, "deliver", { ...delivery, ...flags, lines: "x".repeat(size) }, hasOwnBudget);
  };
  const underWay = () => made.filter((one) => !done.has(one));
  return { peers, runtime, made, opened, call, deliver, underWay };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await undefined;
}

test("a chain of objects, each of which calls another one, is never deeper than one more than its bound", async () => {
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

test("a way is kept, and a better one takes its place", async () => {
  const { peers, opened, made, call } = peersOf();
  for (const hop of [4, 6, 2, 16]) {
    peers.arrived(hop);
    void call("other");
    await settled();
  }
  expect(opened).toEqual(["other", "other"]);
  expect(made.map(({ hop }) => hop)).toEqual([5, 5, 3, 3]);
});

test("after a while, what counts is the deepest event of late, or one not answered yet", async () => {
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

test("an event counts for a second after it was answered, as its answer may not have left yet", async () => {
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

test("where storage takes no alarm, a call that would need one fails", async () => {
  const { peers, runtime, call } = peersOf();
  runtime.comes = false;
  peers.arrived(16);
  await settled();
  await expect(call("other")).rejects.toMatchObject({ why: "not made" });
});

test("a way by which a call failed is not used again, unless the far object has said so itself", async () => {
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

test("the next call to an object that may have crashed goes by a new way", async () => {
  const { peers, opened, made, call } = peersOf();
  peers.arrived(1);
  void call("other");
  made[0]?.answer();
  await settled();
  peers.forget("other");
  void call("other");
  expect(opened).toHaveLength(2);
});

test("where the platform would not open a better way, the one before serves", async () => {
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

test("what the platform would not make is made by a new event, three times at most", async () => {
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

/** So much time passes, and everything that was to happen after it does. */
async function pass(
  runtime: { time: number; sleeping: (() => void)[] },
  milliseconds: number,
): Promise<void> {
  runtime.time += milliseconds;
  for (const wake of runtime.sleeping.splice(0)) wake();
  await settled();
}

test("of many calls 200 are under way, and of large ones as many as have 2,500,000 characters", async () => {
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
])(
  "of many objects that don't answer, none holds others up for longer than a moment: $what",
  async ({ size }) => {
    const { peers, runtime, made, call, underWay } = peersOf();
    peers.arrived(1);
    for (let i = 0; i < 1_000; i++) void call(`silent${i}`, size).catch(() => {});
    const isAnswered = call("prompt", size);
    // As long as nobody knows which of them will answer, they take turns.
    while (!made.some(({ object }) => object === "prompt")) {
      peers.arrived(1);
      await pass(runtime, 1_000);
    }
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
      expect(underWay().length).toBeLessThanOrEqual(size === 0 ? 600 : 7_500_000 / size);
    }
  },
);

test("a call with a budget of its own waits for nothing", async () => {
  const { peers, made, call, deliver } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 300; i++) void call(`object${i}`, 1_000_000);
  await settled();
  const before = made.length;
  // Of 8,000,000 characters, with 100 links.
  for (let i = 0; i < 100; i++) void deliver(`link${i}`, 80_000, true);
  void deliver("large", 80_001, false);
  await settled();
  expect(made.slice(before).map(({ object }) => object)).toEqual(
    Array.from({ length: 100 }, (_, i) => `link${i}`),
  );
});

test("one event makes 900 calls; more wait for a new one", async () => {
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

test("500 ways are kept, those used last", async () => {
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
