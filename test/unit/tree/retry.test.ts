import { expect, test } from "vitest";
import { CallFailed } from "../../../src/runtime/runtime.ts";
import { retry } from "../../../src/tree/retry.ts";

/** Attempts that fail with each of `failures` in turn, and then resolve; notes how long was waited between. */
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

test("what fails is repeated, after longer and longer waits", async () => {
  const { runtime, attempt, waits } = attempts(failure, failure, failure, failure);
  expect(await retry(runtime, attempt)).toBe("done");
  expect(waits).toEqual([50, 200, 800, 3_200]);
});

test("the fifth failure is the last", async () => {
  const { runtime, attempt, made } = attempts(failure, failure, failure, failure, failure);
  await expect(retry(runtime, attempt)).rejects.toBe(failure);
  expect(made()).toBe(5);
});

test("an overloaded object is asked once more, after the longest wait", async () => {
  const { runtime, attempt, waits, made } = attempts(overloaded, overloaded);
  await expect(retry(runtime, attempt)).rejects.toBe(overloaded);
  expect({ waits, made: made() }).toEqual({ waits: [3_200], made: 2 });
});

test("code that threw is not asked again", async () => {
  const { runtime, attempt, made } = attempts(thrown);
  await expect(retry(runtime, attempt)).rejects.toBe(thrown);
  expect(made()).toBe(1);
});

test("it ends when it need not go on", async () => {
  const { runtime, attempt, made } = attempts(failure, failure);
  expect(await retry(runtime, attempt, () => made() < 1)).toBeUndefined();
  expect(made()).toBe(1);
});
