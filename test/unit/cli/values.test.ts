/** Arguments and options of the program. */
import { expect, test } from "vitest";
import { nonEmpty, position, wholeNumber, workerName } from "../../../src/cli/values.ts";

test.each(["a", "fanout-2", "9", "a".repeat(63)])("'%s' can be the name of a Worker", (name) => {
  expect(workerName(name)).toBe(name);
});

test.each(["", "-a", "a-", "A", "a_b", "a".repeat(64)])("'%s' can't be the name of a Worker", (name) => {
  expect(() => workerName(name)).toThrow(/up to 63 lowercase letters/);
});

test("numbers are whole, and within their bounds", () => {
  const parse = wholeNumber(1, 10);
  expect(["1", "10"].map(parse)).toEqual([1, 10]);
  for (const word of ["", "0", "11", "1.5", "1e1", "-1", "x"]) expect(() => parse(word)).toThrow();
});

test("a position is a number, not a time", () => {
  expect(position("0")).toBe(0);
  expect(() => position("yesterday")).toThrow();
  expect(() => position("10m")).toThrow(/messages have no times/);
});

test("a value isn't empty", () => {
  expect(nonEmpty("a")).toBe("a");
  expect(() => nonEmpty("")).toThrow("The value is empty.");
});
