/** What a root keeps: that it is stored before anybody knows of it, for how long, and how much. */
import { expect, test } from "vitest";
import { Downstream } from "../../../src/links/downstream.ts";
import type { HistoryLimits } from "../../../src/links/history.ts";
import type { Delivery, DeliveryAnswer, Kept } from "../../../src/links/messages.ts";
import type { Keeper } from "../../../src/links/world.ts";
import { storeOf } from "../../simulation/store.ts";
import { noKeeper, type Others, stillWorld } from "./world.ts";

/** A root with history, whose time, calls and storage the test has. */
function rootOf(rows = new Map<string, unknown>(), limits: Partial<HistoryLimits> = {}, keeper = noKeeper) {
  const until: number[] = [];
  const state = { now: 1_000_000, takes: true, until };
  const calls: { delivery: Delivery; answer: (answer: DeliveryAnswer) => void; fail: () => void }[] = [];
  const others: Others = {
    deliver: (_, delivery) =>
      new Promise((answer, fail) => calls.push({ delivery, answer, fail: () => fail(new Error("lost")) })),
  };
  const store = storeOf(rows, () => state.takes);
  const world = { ...stillWorld("news", rows, others), store, now: () => state.now };
  const ignore = () => {};
  const keeps = (time: number) => void until.push(time);
  const events = { busy: ignore, keeps, due: ignore, lost: ignore, handover: ignore, ended: ignore };
  const root = new Downstream(
    world,
    100_000,
    { historySeconds: 120, historyBytes: 100, ...limits },
    events,
    keeper,
  );
  return { root, rows, state, calls, say: (line: string, key?: string) => root.append(`${line}\n`, 1, key) };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

function keptIn(rows: Map<string, unknown>): string[] {
  return [...rows.keys()].filter((key) => key.startsWith("history:")).sort();
}

/** What is kept after a position, or since the beginning. */
function linesOf(kept: Kept): string {
  return "none" in kept ? "none" : kept.lines;
}

const ALL = { since: 0, last: 0 };

/** Room for all that a test says. */
const FAR = { historyBytes: 100_000 };

test("what goes out is stored first, as one row for all that goes out together, and goes on for a while", () => {
  const { root, rows, state, say } = rootOf(new Map(), FAR);
  say("a");
  say("b");
  expect(keptIn(rows)).toEqual([]);
  root.flush();
  expect([...rows]).toMatchObject([["history:0", { count: 2, lines: "a\nb\n", at: 1_000_000 }]]);
  state.now += 14_999;
  say("c", "key");
  root.flush();
  const segment = { count: 3, lines: "a\nb\nc\n", at: 1_014_999, keys: [["key", root.log.position]] };
  expect([...rows]).toMatchObject([["history:0", segment]]);
  state.now += 1;
  say("d");
  root.flush();
  say("e".repeat(5_000));
  root.flush();
  say("f");
  root.flush();
  expect(keptIn(rows)).toEqual(["history:0", "history:1", "history:2"]);
  expect(rows.get("history:1")).toMatchObject({ count: 2 });
  expect(linesOf(rootOf(rows, FAR).root.recover(ALL))).toBe(`a\nb\nc\nd\n${"e".repeat(5_000)}\nf\n`);
});

test("one that goes on is written where it was, also when others are forgotten meanwhile", () => {
  const { root, rows, state, say } = rootOf();
  say("a".repeat(30));
  root.flush();
  state.now += 15_000;
  say("b".repeat(30));
  root.flush();
  say("c".repeat(50));
  root.flush();
  expect(linesOf(root.recover(ALL))).toBe(`${"b".repeat(30)}\n${"c".repeat(50)}\n`);
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe(`${"b".repeat(30)}\n${"c".repeat(50)}\n`);
});

test("what a repeated call takes along has been stored too", async () => {
  const { root, rows, calls, say } = rootOf();
  say("a");
  root.link({ from: "home", epoch: 1 });
  say("b");
  root.flush();
  await settled();
  say("c");
  calls[0]?.fail();
  await settled();
  expect(calls[1]?.delivery).toMatchObject({ lines: "b\nc\n", again: true });
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe("a\nb\nc\n");
});

test("whoever wakes goes on after what is stored, and has all of it", () => {
  const { root, rows, say } = rootOf();
  say("a", "key");
  root.flush();
  const last = say("b");
  root.flush();
  const woken = rootOf(rows);
  expect(woken.root.log.position).toBe(last);
  expect(woken.root.recover(ALL)).toEqual({ after: last - 2, count: 2, lines: "a\nb\n" });
  expect(woken.root.history?.positionOf("key")).toBe(last - 1);
  woken.state.now += 15_000;
  expect(woken.say("c")).toBe(last + 1);
  woken.root.flush();
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe("a\nb\nc\n");
});

test("a position that was told is stored, even if there is no message", () => {
  const { root, rows } = rootOf();
  const position = root.locate();
  expect([...rows.values()]).toMatchObject([{ after: position, count: 0 }]);
  const later = rootOf(rows);
  later.state.now += 60_000;
  expect(later.root.locate()).toBe(position);
});

test("who asks gets what came after a position, or the newest; of what there is", () => {
  const { root, say } = rootOf();
  const first = say("a");
  say("b");
  say("c");
  expect(linesOf(root.recover({ since: first, last: 0 }))).toBe("b\nc\n");
  expect(linesOf(root.recover({ since: undefined, last: 1 }))).toBe("c\n");
  expect(linesOf(root.recover({ since: first + 1, last: 2 }))).toBe("b\nc\n");
  expect(linesOf(root.recover({ since: first + 99, last: 0 }))).toBe("");
  expect(root.recover({ since: 0, last: 99 })).toEqual({ after: first - 1, count: 3, lines: "a\nb\nc\n" });
});

test("a root without history says so", () => {
  const { root, say } = rootOf(new Map(), { historySeconds: 0 });
  say("a");
  expect(root.recover(ALL)).toEqual({ none: true });
});

test("the oldest are forgotten when there is no room, and their slots are used again", () => {
  const { root, rows, state, say } = rootOf();
  for (const line of ["a", "b", "c"].map((letter) => letter.repeat(39))) {
    say(line);
    root.flush();
    state.now += 15_000;
  }
  expect(linesOf(root.recover(ALL))).toBe(`${"b".repeat(39)}\n${"c".repeat(39)}\n`);
  expect(keptIn(rows)).toHaveLength(2);
  say("d".repeat(39));
  root.flush();
  expect(keptIn(rows)).toHaveLength(2);
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe(`${"c".repeat(39)}\n${"d".repeat(39)}\n`);
  state.now += 15_000;
  say("e".repeat(39));
  root.flush();
  // The newest is in the first slot now.
  expect(rows.get("history:0")).toMatchObject({ lines: `${"e".repeat(39)}\n` });
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe(`${"d".repeat(39)}\n${"e".repeat(39)}\n`);
});

test("of one that is longer than what may be kept, the newest lines are", () => {
  const { root, rows, say } = rootOf();
  say("a".repeat(60));
  say("b".repeat(60));
  root.flush();
  const kept = { after: (root.log.position ?? 0) - 1, count: 1, lines: `${"b".repeat(60)}\n` };
  expect(root.recover(ALL)).toEqual(kept);
  expect(rootOf(rows).root.recover(ALL)).toEqual(kept);
  say("c".repeat(200));
  root.flush();
  expect(linesOf(root.recover(ALL))).toBe("");
});

test("of keys the newest are kept, as many as there is room for", () => {
  const { root, rows, say } = rootOf();
  for (const key of ["a", "b", "c"]) say(key, key.repeat(34));
  root.flush();
  const known = (key: string) => root.history?.positionOf(key.repeat(34)) !== undefined;
  expect([known("a"), known("b"), known("c")]).toEqual([false, true, true]);
  expect(linesOf(rootOf(rows).root.recover(ALL))).toBe("a\nb\nc\n");
});

test("what is over is forgotten at once, with its keys, and deleted by one alarm", () => {
  const { root, rows, state, say } = rootOf();
  say("a", "key");
  root.flush();
  expect(state.until).toEqual([1_120_000]);
  state.now += 60_000;
  say("b");
  root.flush();
  state.now += 60_000;
  expect(root.history?.positionOf("key")).toBeUndefined();
  expect(linesOf(root.recover(ALL))).toBe("b\n");
  root.expire(false);
  expect(state.until.at(-1)).toBe(1_180_000);
  expect(keptIn(rows)).toHaveLength(2);
  state.now += 60_000;
  root.expire(false);
  expect(keptIn(rows)).toEqual([]);
});

test("while somebody counts, what tells the position stays, as one row", () => {
  const { root, rows, state, say } = rootOf();
  for (const line of ["a", "b", "c"]) {
    say(line);
    root.flush();
    state.now += 15_000;
  }
  const { position } = root.log;
  state.now += 120_000;
  root.expire(true);
  expect(keptIn(rows)).toHaveLength(1);
  const woken = rootOf(rows);
  woken.state.now = state.now + 1_000;
  expect(woken.root.log.position).toBe(position);
  expect(linesOf(woken.root.recover(ALL))).toBe("");
  // For who comes back after the last one has gone, it stays as long as messages do.
  woken.root.release(false);
  expect(woken.state.until).toEqual([woken.state.now + 120_000]);
  woken.state.now += 120_000;
  woken.root.expire(false);
  expect(keptIn(rows)).toEqual([]);
});

test("what storage does not take is not kept, and neither is what came before", () => {
  const { root, rows, state, say } = rootOf();
  say("a");
  root.flush();
  state.takes = false;
  const last = say("b");
  root.flush();
  expect(root.recover(ALL)).toEqual({ after: last, count: 0, lines: "" });
  state.takes = true;
  say("c");
  root.flush();
  expect(linesOf(root.recover(ALL))).toBe("c\n");
  const woken = rootOf(rows);
  expect(woken.root.log.position).toBe(last + 1);
  expect(linesOf(woken.root.recover(ALL))).toBe("c\n");
});

test("links go on after a crash of their root from what each of them has", async () => {
  const { root, rows, say, calls } = rootOf();
  say("a");
  root.link({ from: "home", epoch: 1 });
  const after = say("b") - 1;
  root.flush();
  await settled();
  expect(calls[0]?.delivery).toMatchObject({ after, lines: "b\n" });
  const woken = rootOf(rows);
  expect(woken.root.isBusy).toBe(true);
  woken.root.flush();
  await settled();
  expect(woken.calls[0]?.delivery).toMatchObject({ where: true, count: 0, again: true });
  woken.calls[0]?.answer({ gone: false, last: after });
  await settled();
  woken.root.flush();
  await settled();
  expect(woken.calls[1]?.delivery).toMatchObject({ after, lines: "b\n", again: false, lost: false });
  woken.calls[1]?.answer({ gone: false });
  await settled();
  expect(woken.root.settle()).toBe(true);
  expect(rootOf(rows).root.isBusy).toBe(false);
});

test("a position that storage does not take outlives sleep with a socket, until storage takes one", () => {
  const keeper: Keeper = {
    kept: undefined,
    keep(some) {
      Object.assign(keeper, { kept: some });
      return true;
    },
  };
  const { root, rows, state, say } = rootOf(new Map(), {}, keeper);
  say("a");
  root.flush();
  state.takes = false;
  const last = say("b");
  root.flush();
  root.history?.settle();
  for (let life = 0; life < 2; life++) {
    const woken = rootOf(rows, {}, keeper);
    expect(woken.root.log.position).toBe(last);
    woken.root.history?.settle();
  }
  const woken = rootOf(rows, {}, keeper);
  expect(woken.root.locate()).toBe(last);
  woken.root.history?.settle();
  expect(keeper.kept).toEqual({ position: undefined });
  expect(rootOf(rows).root.log.position).toBe(last);
});

test("a position that is stored is kept nowhere else", () => {
  const kept: object[] = [];
  const keeper: Keeper = {
    kept: undefined,
    keep: (some) => {
      kept.push(some);
      return true;
    },
  };
  const { root, say } = rootOf(new Map(), {}, keeper);
  root.history?.settle();
  say("a");
  root.flush();
  root.history?.settle();
  expect(kept).toEqual([]);
});

const segment = { after: 5, count: 1, lines: "a\n", at: 1_000_000, keys: [["key", 6]] };

test.each<[string, unknown]>([
  ["a number", 5],
  ["without a position", { ...segment, after: "5" }],
  ["without a count", { ...segment, count: undefined }],
  ["without a time", { ...segment, at: null }],
  ["without lines", { ...segment, lines: 5 }],
  ["without keys", { ...segment, keys: undefined }],
  ["with keys that are none", { ...segment, keys: ["key"] }],
  ["with keys without positions", { ...segment, keys: [["key", "6"]] }],
  ["with keys that are numbers", { ...segment, keys: [[6, 6]] }],
])("a row that is no segment ends what would go on from it: %s", (_, row) => {
  expect(rootOf(new Map([["history:0", segment]])).root.log.position).toBe(6);
  expect(() => rootOf(new Map([["history:0", row]]))).toThrow("rows of the kind that was put there");
});

test("one that has gone on has one slot, which another one gets when it is over", () => {
  const { root, rows, state, say } = rootOf();
  for (const line of ["a", "b", "c"]) {
    say(line, line);
    root.flush();
  }
  state.now += 120_000;
  for (const line of ["d", "e"]) {
    say(line);
    root.flush();
    state.now += 15_000;
  }
  expect([...rows.values()]).toMatchObject([
    { lines: "d\n", keys: [] },
    { lines: "e\n", keys: [] },
  ]);
});

test("what does not reach up to the next one is not kept", () => {
  const { root } = rootOf(
    new Map([
      ["history:0", { ...segment, after: 10 }],
      ["history:1", { ...segment, after: 8 }],
    ]),
  );
  expect(root.recover(ALL)).toEqual({ after: 10, count: 1, lines: "a\n" });
});
