import { expect, test } from "vitest";
import { inWords, isFlawless, judge } from "../../../tools/faults/judge.ts";

test("the judge finds exactly the lost, repeated, reordered and unexpected messages", () => {
  expect(isFlawless(judge(["1", "2", "3"], 3))).toBe(true);
  expect(isFlawless(judge([], 0))).toBe(false);
  const verdict = judge(["1", "3", "2", "2", "x", "5"], 5);
  expect(verdict).toEqual({ came: 5, due: 5, lost: [4], repeated: [2], early: [3], strange: ["x"] });
  expect(inWords("listening", verdict)).toBe(
    "listening: 5 of 5 received; 1 lost (4…), 1 repeated (2…), 1 out of order (3…), 1 strange (x…)",
  );
});
