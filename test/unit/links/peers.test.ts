import { expect, test } from "vitest";
import { DEEPEST_FRESH, Peers } from "../../../src/links/peers.ts";
import { CallFailed } from "../../../src/links/world.ts";

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
  const opened: string[] = [];
  const world = {
    begunAnew: 0,
    comes: true,
    time: 0,
    now: () => world.time,
    sleep: () => Promise.resolve(),
    open: (object: string) => {
      opened.push(object);
      const call = (_: unknown, __: unknown, hop: number) =>
        new Promise<never>((resolve, fail) => {
          made.push({ object, hop, fail, answer: () => Reflect.apply(resolve, undefined, [undefined]) });
        });
      return { call };
    },
  };
  const peers = new Peers(world, () => {
    world.begunAnew += 1;
    return Promise.resolve(world.comes);
  });
  const call = (object: string, size = 0) => {
    const lines = "x".repeat(size);
    return peers.call(object, "forward", { from: "me", number: 1, count: 1, lines });
  };
  return { peers, world, made, opened, call };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await undefined;
}

test("a chain of objects, each of which calls another one, is never deeper than one more than its bound", async () => {
  let hop = 1;
  let deepest = 0;
  for (let link = 0; link < 100; link++) {
    const { peers, world, made, call } = peersOf();
    peers.arrived(hop);
    await settled();
    void call("next");
    if (made.length === 0) {
      expect(world.begunAnew).toBe(1);
      peers.arrived(1);
    }
    hop = made[0]?.hop ?? Number.NaN;
    deepest = Math.max(deepest, hop);
  }
  expect(deepest).toBe(DEEPEST_FRESH + 1);
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
  const { peers, world, made, call } = peersOf();
  void peers.answer(5, () => new Promise(() => {}));
  peers.arrived(1);
  await settled();
  void call("one");
  world.time = 10_000;
  peers.arrived(2);
  await settled();
  void call("two");
  expect(made.map(({ hop }) => hop)).toEqual([6, 6]);
});

test("where storage takes no alarm, a call that would need one fails", async () => {
  const { peers, world, call } = peersOf();
  world.comes = false;
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
  const { peers, world, made, call } = peersOf();
  peers.arrived(1);
  const outcome = call("other").catch((error: unknown) => error);
  for (let remade = 0; remade < 3; remade++) {
    made.at(-1)?.fail(new CallFailed("not made", "too deep"));
    await settled();
    expect([made.length, world.begunAnew]).toEqual([remade + 1, remade + 1]);
    peers.arrived(1);
    await settled();
  }
  made.at(-1)?.fail(new CallFailed("not made", "too deep"));
  expect(await outcome).toBeInstanceOf(CallFailed);
});

test("of many calls 200 are under way, and of large ones as many as have 16,000,000 characters", async () => {
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
  for (let i = 0; i < 20; i++) void call(`object${i}`, 1_000_000);
  await settled();
  expect(made).toHaveLength(16);
  made[0]?.answer();
  await settled();
  expect(made).toHaveLength(17);
});

test("one event makes 900 calls; more wait for a new one", async () => {
  const { peers, world, made, call } = peersOf();
  peers.arrived(1);
  for (let i = 0; i < 1_000; i++) {
    void call("other");
    await settled();
    if (i < 900) made[i]?.answer();
  }
  expect([made.length, world.begunAnew > 0]).toEqual([900, true]);
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
