/** Buffered lines within a budget. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Backlog, Budget, STALLED_AFTER } from "../../../src/streams/backlog.ts";

const ample = { forOne: 1_000_000, forAll: 10_000_000 };

function takeAll(backlog: Backlog): string[] {
  const pieces: string[] = [];
  for (let piece = backlog.take(0); piece !== ""; piece = backlog.take(0)) pieces.push(piece);
  return pieces;
}

test("lines that were split anywhere are whole and in order, and an unfinished line stays buffered", () => {
  const anyChunks = fc.array(fc.string({ unit: fc.constantFrom("a", "\n", "ü") }));
  fc.assert(
    fc.property(anyChunks, fc.array(fc.nat(5)), (chunks, takes) => {
      const budget = new Budget(ample);
      const backlog = new Backlog(budget, 0);
      let taken = "";
      for (const [i, chunk] of chunks.entries()) {
        backlog.push(chunk, 0);
        if (takes[i] === 0) taken += backlog.take(0);
        expect(taken === "" || taken.endsWith("\n")).toBe(true);
      }
      taken += takeAll(backlog).join("");
      const all = chunks.join("");
      expect(taken).toBe(all.slice(0, all.lastIndexOf("\n") + 1));
      backlog.finish();
      expect([backlog.size, budget.size]).toEqual([0, 0]);
    }),
  );
});

test("a piece has as many frames as fit", () => {
  const backlog = new Backlog(new Budget(ample), 0);
  const frame = `${"x".repeat(29_999)}\n`;
  for (let i = 0; i < 5; i++) backlog.push(frame, 0);
  backlog.push(`${"y".repeat(100_000)}\n`, 0);
  expect(takeAll(backlog).map((piece) => piece.length)).toEqual([60_000, 60_000, 30_000, 100_001]);
});

test("if too much is pending for one reader, all of its lines are dropped, including later ones", () => {
  const budget = new Budget({ forOne: 1_000, forAll: 10_000 });
  const backlog = new Backlog(budget, 0);
  const other = new Backlog(budget, 0);
  other.push("other\n", 0);
  backlog.push(`${"x".repeat(900)}\n`, 0);
  expect(backlog.isShed).toBe(false);
  backlog.push(`${"x".repeat(900)}\n`, 0);
  expect([backlog.isShed, backlog.take(0)]).toEqual([true, ""]);
  backlog.push("more\n", 0);
  expect([backlog.take(0), other.take(0), budget.size]).toEqual(["", "other\n", 0]);
});

test("small frames count with their overhead", () => {
  const budget = new Budget({ forOne: 1_000, forAll: 10_000 });
  const backlog = new Backlog(budget, 0);
  for (let i = 0; i < 16; i++) backlog.push("\n", 0);
  expect(backlog.isShed).toBe(true);
});

test("if too much is pending for all, stalled readers are dropped first, then the largest backlogs", () => {
  const budget = new Budget({ forOne: 10_000, forAll: 10_000 });
  const push = (size: number, now: number) => {
    const backlog = new Backlog(budget, now);
    backlog.push(`${"x".repeat(size)}\n`, now);
    return backlog;
  };
  // An abandoned request never takes anything.
  const abandoned = push(1_000, 0);
  const [large, small] = [push(5_000, STALLED_AFTER), push(3_000, STALLED_AFTER)];
  const more = push(1_500, STALLED_AFTER);
  expect([abandoned, large, small, more].map(({ isShed }) => isShed)).toEqual([true, false, false, false]);
  push(1_000, STALLED_AFTER);
  expect([large, small, more].map(({ isShed }) => isShed)).toEqual([true, false, false]);
});

test("what remains after a piece counts, with its overhead", () => {
  const budget = new Budget(ample);
  const backlog = new Backlog(budget, 0);
  for (const letter of ["a", "b", "c"]) backlog.push(`${letter.repeat(40_000)}\n`, 0);
  backlog.push("un", 0);
  backlog.take(0);
  expect([backlog.size, budget.size]).toEqual([2 * 40_065 + 66, 2 * 40_065 + 66]);
});

test("a reader that finds no whole line hasn't taken anything", () => {
  const backlog = new Backlog(new Budget(ample), 0);
  backlog.push("unfinished", 0);
  expect([backlog.take(STALLED_AFTER - 1), backlog.size]).toEqual(["", 74]);
  expect(backlog.isStalled(STALLED_AFTER)).toBe(true);
});

test("a backlog that was emptied isn't remembered", () => {
  const budget = new Budget({ forOne: 1_000, forAll: 1_000 });
  const [empty, full] = [new Backlog(budget, 0), new Backlog(budget, 0)];
  empty.push("a\n", 0);
  empty.take(0);
  const asked = vi.spyOn(empty, "isStalled");
  full.push(`${"x".repeat(900)}\n`, 0);
  new Backlog(budget, 0).push(`${"y".repeat(900)}\n`, 0);
  expect(asked).not.toHaveBeenCalled();
});
