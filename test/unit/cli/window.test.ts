import { expect, test } from "vitest";
import { Window } from "../../../src/cli/window.ts";
import { settled } from "../settled.ts";

/** Returns a window of two pieces of work, or ten bytes, and what was done. */
function windowOf() {
  const done: number[] = [];
  const window = new Window(2, 10, () => void done.push(window.count));
  const begin = (bytes: number) => {
    const work = Promise.withResolvers<void>();
    window.add(bytes, work.promise);
    return work;
  };
  return { window, begin, done };
}

test("there is room as soon as one piece of work is done, in any order", async () => {
  const { window, begin, done } = windowOf();
  begin(1);
  const second = begin(1);
  expect(window.isFull).toBe(true);
  let hasRoom = false;
  window.room().then(() => {
    hasRoom = true;
  });
  await settled();
  expect(hasRoom).toBe(false);
  second.resolve();
  await settled();
  expect([hasRoom, window.isFull, window.count, done.length]).toEqual([true, false, 1, 1]);
});

test("bytes are limited too, and a piece of work may be larger than the limit", async () => {
  const { window, begin } = windowOf();
  const large = begin(100);
  expect(window.isFull).toBe(true);
  large.resolve();
  await window.room();
  expect(window.isFull).toBe(false);
});

test("an empty window has no pending work", async () => {
  const { window, begin } = windowOf();
  await window.empty();
  const works = [begin(1), begin(1)];
  const empty = window.empty().then(() => window.count);
  works[0]?.resolve();
  await settled();
  works[1]?.resolve();
  expect(await empty).toBe(0);
});

test("the first failure ends waiting at once, and stays", async () => {
  const { window, begin, done } = windowOf();
  const works = [begin(1), begin(1)];
  const room = window.room();
  works[1]?.reject(new Error("first"));
  await expect(room).rejects.toThrow("first");
  works[0]?.reject(new Error("second"));
  await expect(window.empty()).rejects.toThrow("first");
  expect(() => window.check()).toThrow("first");
  expect(done).toEqual([]);
});
