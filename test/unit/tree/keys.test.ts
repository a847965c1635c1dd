/** The announcements that a root finds by their keys. */
import { expect, test } from "vitest";
import { batchOf } from "../../../src/channel/retained.ts";
import { ALL, FAR, linesOf, rootOf } from "./root.ts";

test("a key used again after its first message has expired finds the second one, also after waking", () => {
  const rows = new Map<string, unknown>();
  const first = rootOf(rows, FAR);
  first.announce("a", "key");
  first.state.now += 60_000;
  first.announce("b");
  const second = rootOf(rows, FAR, undefined, first.state.now + 60_000);
  expect(second.root.history?.index.announcedUnder("key")).toBeUndefined();
  const position = second.announce("c", "key");
  // The row of the first message still exists, but has expired.
  const third = rootOf(rows, FAR, undefined, second.state.now);
  expect(third.root.history?.index.announcedUnder("key")).toMatchObject({ last: position, lines: "c\n" });
  third.announce("d");
  third.root.expire(false);
  expect(third.root.history?.index.announcedUnder("key")).toMatchObject({ last: position });
});

test("a key is retained exactly as long as its message, and both are dropped if there is no room for both", () => {
  const { root, rows, append, announce } = rootOf();
  const keys = ["a", "b", "c"].map((letter) => letter.repeat(34));
  for (const key of keys) append(key.slice(0, 1), key);
  root.flush();
  const known = (instance: typeof root) =>
    keys.filter((key) => instance.history?.index.announcedUnder(key) !== undefined);
  for (const instance of [root, rootOf(rows).root]) {
    expect(linesOf(instance.readMissed(ALL))).toBe("c\n");
    expect(known(instance)).toEqual(keys.slice(2));
  }
  announce("d".repeat(90));
  expect(known(root)).toEqual([]);
  expect(linesOf(root.readMissed(ALL))).toBe(`${"d".repeat(90)}\n`);
});

test("a key finds the text of its announcement, even of several lines, stored or not", () => {
  const { root, rows, announce } = rootOf(new Map(), FAR);
  announce("before");
  root.append("a\nb\n", 2, "two");
  root.append("c\n", 1, "one");
  root.append("d\n", 1);
  const { position = 0 } = root.log;
  const check = (instance: typeof root) => {
    const { history } = instance;
    expect(history?.index.announcedUnder("two")).toMatchObject({ last: position - 2, count: 2, lines: "a\nb\n" });
    expect(history?.index.announcedUnder("one")).toMatchObject({ last: position - 1, count: 1, lines: "c\n" });
  };
  check(root);
  root.flush();
  check(root);
  check(rootOf(rows, FAR).root);
  expect(linesOf(rootOf(rows, FAR).root.readMissed(ALL))).toBe("before\na\nb\nc\nd\n");
});

test("an announcement with a key is retained with all of its lines, or not at all", () => {
  const lines = ["a\n", "b\n", "c\n"].map((line, i) => ({
    last: i + 1,
    count: 1,
    lines: line,
    key: undefined,
  }));
  const keyed = { last: 5, count: 2, lines: "d\ne\n", key: "k" };
  expect(batchOf([...lines, keyed], 5, 7, 4)).toMatchObject({ after: 5, count: 0, keyed: [] });
  expect(batchOf([...lines, keyed], 5, 7, 23)).toMatchObject({
    after: 2,
    count: 3,
    keyed: [keyed],
    size: 23,
  });
  expect(batchOf([...lines, keyed], 5, 7, 21)).toMatchObject({
    after: 3,
    count: 2,
    keyed: [keyed],
    size: 21,
  });
});
