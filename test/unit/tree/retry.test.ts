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
  return { world: { sleep }, attempt, waits, made: () => made };
}

const failure = new Error("lost");
const overloaded = new CallFailed("overloaded", failure);
const thrown = new CallFailed("thrown", failure);

test("what fails is repeated, after longer and longer waits", async () => {
  const { world, attempt, waits } = attempts(failure, failure, failure, failure);
  expect(await retry(world, attempt)).toBe("done");
  expect(waits).toEqual([50, 200, 800, 3_200]);
});

test("the fifth failure is the last", async () => {
  const { world, attempt, made } = attempts(failure, failure, failure, failure, failure);
  await expect(retry(world, attempt)).rejects.toBe(failure);
  expect(made()).toBe(5);
});

test("an overloaded object is asked once more, after the longest wait", async () => {
  const { world, attempt, waits, made } = attempts(overloaded, overloaded);
  await expect(retry(world, attempt)).rejects.toBe(overloaded);
  expect({ waits, made: made() }).toEqual({ waits: [3_200], made: 2 });
});

test("code that threw is not asked again", async () => {
  const { world, attempt, made } = attempts(thrown);
  await expect(retry(world, attempt)).rejects.toBe(thrown);
  expect(made()).toBe(1);
});

test("it ends when it need not go on", async () => {
  const { world, attempt, made } = attempts(failure, failure);
  expect(await retry(world, attempt, () => made() < 1)).toBeUndefined();
  expect(made()).toBe(1);
});
