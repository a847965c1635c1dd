import { expect, test } from "vitest";
import { CallFailed } from "../../../src/runtime/runtime.ts";
import { retry } from "../../../src/tree/retry.ts";

/** Attempts that fail with each of `failures` in turn, and then resolve; records the delays between them. */
function attempts(...failures: Error[]) {
  const waits: number[] = [];
  const sleep = (milliseconds: number) => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  let made = 0;
  const attempt = () => {
    const failure = failures[made];
    made += 1;
    return failure ? Promise.reject(failure) : Promise.resolve("done");
  };
  return { runtime: { sleep }, attempt, waits, made: () => made };
}

const failure = new Error("lost");
const overloaded = new CallFailed("overloaded", failure);
const thrown = new CallFailed("thrown", failure);

test("failed attempts are repeated, after growing delays", async () => {
  const { runtime, attempt, waits } = attempts(failure, failure, failure, failure);
  expect(await retry(runtime, attempt)).toBe("done");
  expect(waits).toEqual([50, 200, 800, 3_200]);
});

test("there are at most five attempts", async () => {
  const { runtime, attempt, made } = attempts(failure, failure, failure, failure, failure);
  await expect(retry(runtime, attempt)).rejects.toBe(failure);
  expect(made()).toBe(5);
});

test("a call to an overloaded object is repeated once, after the longest delay", async () => {
  const { runtime, attempt, waits, made } = attempts(overloaded, overloaded);
  await expect(retry(runtime, attempt)).rejects.toBe(overloaded);
  expect({ waits, made: made() }).toEqual({ waits: [3_200], made: 2 });
});

test("a call that threw in the other object isn't repeated", async () => {
  const { runtime, attempt, made } = attempts(thrown);
  await expect(retry(runtime, attempt)).rejects.toBe(thrown);
  expect(made()).toBe(1);
});

test("attempts end when they need not continue", async () => {
  const { runtime, attempt, made } = attempts(failure, failure);
  expect(await retry(runtime, attempt, () => made() < 1)).toBeUndefined();
  expect(made()).toBe(1);
});
