/** A root stores messages before it sends them, in few rows, and retains as many as there is room for. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { ALL, FAR, linesOf, rootOf, rowsOf } from "../tree/root.ts";

test("messages are stored before they are sent, and batches share a row until it is full or too old", {
  tags: ["stored-first"],
}, () => {
  const { root, rows, state, append } = rootOf(new Map(), FAR);
  append("a");
  append("b");
  expect(rowsOf(rows)).toEqual([]);
  root.flush();
  expect([...rows]).toMatchObject([["history:0", { counts: [2], times: [1_000_000], lines: "a\nb\n" }]]);
  state.now += 14_999;
  append("c", "key");
  root.flush();
  const segment = {
    counts: [2, 1],
    times: [1_000_000, 1_014_999],
    lines: "a\nb\nc\n",
    keys: [["key", root.log.position, 1]],
  };
  expect([...rows]).toMatchObject([["history:0", segment]]);
  state.now += 1;
  append("d");
  root.flush();
  append("e".repeat(5_000));
  root.flush();
  append("f");
  root.flush();
  expect(rowsOf(rows)).toEqual(["history:0", "history:1", "history:2"]);
  expect(rows.get("history:1")).toMatchObject({ counts: [1, 1], times: [1_015_000, 1_015_000] });
  expect(linesOf(rootOf(rows, FAR).root.channel.readMissed(ALL))).toBe(`a\nb\nc\nd\n${"e".repeat(5_000)}\nf\n`);
});

test("a row of 4,096 bytes is full", () => {
  const { rows, announce } = rootOf(new Map(), FAR);
  announce("a".repeat(4_094));
  announce("");
  announce("b");
  expect([...rows.values()]).toMatchObject([{ counts: [1, 1] }, { counts: [1] }]);
});

test("a root says how many messages it retains, and how large they are", () => {
  const { root, state, announce } = rootOf();
  // Each key costs 16 bytes besides its text.
  const retained = () => root.channel.history?.retained;
  expect(retained()).toBeUndefined();
  const first = announce("a");
  state.now += 60_000;
  announce("bc", "key");
  expect(retained()).toEqual({ after: first - 1, count: 2, bytes: 24 });
  state.now += 60_000;
  expect(retained()).toEqual({ after: first, count: 1, bytes: 22 });
  state.now += 60_000;
  expect(retained()).toBeUndefined();
});

test("a root that continues elsewhere retains no earlier message or key, and deletes their rows with the next alarm", () => {
  const { root, rows, announce, append } = rootOf();
  const last = announce("a");
  append("b", "key");
  root.channel.continueAfter(last + 10);
  expect(root.channel.history?.retained).toBeUndefined();
  expect(root.channel.history?.index.announcedUnder("key")).toBeUndefined();
  expect(rowsOf(rows)).toHaveLength(1);
  root.expire(false);
  expect(rowsOf(rows)).toEqual([]);
});

test("a row can take another batch after older rows have been dropped", () => {
  const { root, rows, state, announce } = rootOf();
  announce("a".repeat(30));
  state.now += 15_000;
  announce("b".repeat(30));
  announce("c".repeat(50));
  expect(linesOf(root.channel.readMissed(ALL))).toBe(`${"b".repeat(30)}\n${"c".repeat(50)}\n`);
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe(`${"b".repeat(30)}\n${"c".repeat(50)}\n`);
});

test("messages that join a repeated call were stored before", async () => {
  const { root, rows, calls, append, announce } = rootOf();
  announce("a");
  root.link({ from: "home", epoch: 1 });
  announce("b");
  await settled();
  append("c");
  calls[0]?.fail();
  await settled();
  expect(calls[1]?.delivery).toMatchObject({ lines: "b\nc\n", again: true });
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe("a\nb\nc\n");
});

test("a root that wakes restores its messages, and continues after them", () => {
  const { rows, announce } = rootOf();
  announce("a", "key");
  const last = announce("b");
  const woken = rootOf(rows);
  expect(woken.root.log.position).toBe(last);
  expect(woken.root.channel.readMissed(ALL)).toEqual({ after: last - 2, count: 2, lines: "a\nb\n" });
  expect(woken.root.channel.history?.index.announcedUnder("key")).toMatchObject({ last: last - 1, lines: "a\n" });
  woken.state.now += 15_000;
  expect(woken.announce("c")).toBe(last + 1);
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe("a\nb\nc\n");
});

test("clients get the retained messages after a position, or the newest ones", () => {
  const { root, announce } = rootOf();
  const first = announce("a");
  announce("b");
  announce("c");
  expect(linesOf(root.channel.readMissed({ since: first, last: 0 }))).toBe("b\nc\n");
  expect(linesOf(root.channel.readMissed({ since: undefined, last: 1 }))).toBe("c\n");
  expect(linesOf(root.channel.readMissed({ since: first + 1, last: 2 }))).toBe("b\nc\n");
  expect(linesOf(root.channel.readMissed({ since: first + 99, last: 0 }))).toBe("");
  expect(root.channel.readMissed({ since: 0, last: 99 })).toEqual({ after: first - 1, count: 3, lines: "a\nb\nc\n" });
});

test("a root without a history says so", () => {
  const { root, append } = rootOf(new Map(), { historySeconds: 0 });
  append("a");
  expect(root.channel.readMissed(ALL)).toEqual({ none: true });
});

test("without room, the oldest messages are dropped, and their slots are reused", { tags: ["retention-limit"] }, () => {
  const { root, rows, state, announce } = rootOf();
  for (const line of ["a", "b", "c"].map((letter) => letter.repeat(39))) {
    announce(line);
    state.now += 15_000;
  }
  expect(linesOf(root.channel.readMissed(ALL))).toBe(`${"b".repeat(39)}\n${"c".repeat(39)}\n`);
  expect(rowsOf(rows)).toHaveLength(2);
  announce("d".repeat(39));
  expect(rowsOf(rows)).toHaveLength(2);
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe(`${"c".repeat(39)}\n${"d".repeat(39)}\n`);
  state.now += 15_000;
  announce("e".repeat(39));
  // The newest message is now in the first slot.
  expect(rows.get("history:0")).toMatchObject({ lines: `${"e".repeat(39)}\n` });
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe(`${"d".repeat(39)}\n${"e".repeat(39)}\n`);
});

test("if a batch exceeds the limit, its newest lines are retained", () => {
  const { root, rows, state, append, announce } = rootOf();
  announce("before");
  state.now += 15_000;
  append("a".repeat(60));
  append("b".repeat(60));
  root.flush();
  const newest = { after: (root.log.position ?? 0) - 1, count: 1, lines: `${"b".repeat(60)}\n` };
  expect(root.channel.readMissed(ALL)).toEqual(newest);
  expect(rootOf(rows).root.channel.readMissed(ALL)).toEqual(newest);
  root.append(`${"c".repeat(60)}\n${"d".repeat(60)}\n`, 2);
  root.flush();
  expect(linesOf(root.channel.readMissed(ALL))).toBe(`${"d".repeat(60)}\n`);
  expect(linesOf(rootOf(rows).root.channel.readMissed(ALL))).toBe(`${"d".repeat(60)}\n`);
  announce("e".repeat(200));
  expect(linesOf(root.channel.readMissed(ALL))).toBe("");
  expect(rootOf(rows).root.log.position).toBe(root.log.position);
});

test("after a crash of the root, its links continue after the messages that their objects have", async () => {
  const { root, rows, announce, calls } = rootOf();
  announce("a");
  root.link({ from: "home", epoch: 1 });
  const after = announce("b") - 1;
  await settled();
  expect(calls[0]?.delivery).toMatchObject({ after, lines: "b\n" });
  const woken = rootOf(rows);
  expect(woken.root.isBusy).toBe(true);
  woken.root.flush();
  await settled();
  expect(woken.calls[0]?.delivery).toMatchObject({ where: true, count: 0, again: true });
  await woken.answer(0, { gone: false, last: after });
  expect(woken.calls[1]?.delivery).toMatchObject({ after, lines: "b\n", again: false, lost: false });
  await woken.answer(1, { gone: false });
  expect(woken.root.settle(false)).toBe(true);
  expect(rootOf(rows).root.isBusy).toBe(false);
});

const segment = { after: 5, counts: [1], times: [1_000_000], lines: "a\n", keys: [["key", 6, 1]] };

test.each<[string, unknown]>([
  ["a number", 5],
  ["without a position", { ...segment, after: "5" }],
  ["without counts", { ...segment, counts: undefined }],
  ["without times", { ...segment, times: undefined }],
  ["without batches", { ...segment, counts: [], times: [] }],
  ["with a batch without a time", { ...segment, counts: [1, 1] }],
  ["with times that are text", { ...segment, times: ["1"] }],
  ["without lines", { ...segment, lines: 5 }],
  ["without keys", { ...segment, keys: undefined }],
  ["with keys that aren't tuples", { ...segment, keys: ["key"] }],
  ["with keys without positions", { ...segment, keys: [["key", "6", 1]] }],
  ["with keys without a count", { ...segment, keys: [["key", 6]] }],
  ["with keys that are numbers", { ...segment, keys: [[6, 6, 1]] }],
])("a root doesn't start from a row that isn't a segment: %s", (_, row) => {
  expect(rootOf(new Map([["history:0", segment]])).root.log.position).toBe(6);
  expect(() => rootOf(new Map([["history:0", row]]))).toThrow("stored rows have the type that was written");
});

test("messages before a gap between rows are not retained", () => {
  const { root } = rootOf(
    new Map([
      ["history:0", { ...segment, after: 10 }],
      ["history:1", { ...segment, after: 8 }],
    ]),
  );
  expect(root.channel.readMissed(ALL)).toEqual({ after: 10, count: 1, lines: "a\n" });
});

test("messages that the log drops because a link is too far behind are not retained either", async () => {
  const { root, rows, append, announce } = rootOf(new Map(), { historyBytes: 80_000 });
  root.link({ from: "home", epoch: 1 });
  announce("a".repeat(30_000), "key");
  announce("b".repeat(30_000));
  // Past 100,000 characters, the log drops all but half of them.
  for (const letter of ["c", "d"]) append(letter.repeat(30_000));
  root.flush();
  const lines = `${"d".repeat(30_000)}\n`;
  expect(linesOf(root.channel.readMissed(ALL))).toBe(lines);
  expect(root.channel.history?.index.announcedUnder("key")).toBeUndefined();
  expect(linesOf(rootOf(rows, FAR).root.channel.readMissed(ALL))).toBe(lines);
});

test("the limit of retained messages is in bytes of UTF-8", { tags: ["retention-limit"] }, () => {
  const { root, announce } = rootOf(new Map(), { historyBytes: 30 });
  announce("é".repeat(9));
  announce("\u{1f600}".repeat(3));
  expect(linesOf(root.channel.readMissed(ALL))).toBe(`${"\u{1f600}".repeat(3)}\n`);
  announce("a".repeat(16));
  expect(linesOf(root.channel.readMissed(ALL))).toBe(`${"\u{1f600}".repeat(3)}\n${"a".repeat(16)}\n`);
});

test.each([
  { title: "sends a link the messages that it lacks", away: 60_000, next: { lines: "a\n", lost: false } },
  { title: "gives up a link that lacks expired messages", away: 121_000, next: { lines: "", lost: true } },
])("a root that wakes after a crash $title", async ({ away, next }) => {
  const { root, rows, state, calls, announce } = rootOf();
  root.link({ from: "home", epoch: 1 });
  const position = announce("a");
  calls[0]?.fail();
  await settled();
  const woken = rootOf(rows, {}, undefined, state.now + away);
  woken.root.flush();
  expect(woken.calls[0]?.delivery).toMatchObject({ where: true });
  woken.calls[0]?.answer({ gone: false, last: position - 1 });
  await settled();
  woken.root.flush();
  expect(woken.calls[1]?.delivery).toMatchObject(next);
});
