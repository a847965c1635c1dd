/** Renewing tokens costs an object time, so clients can't do that without end. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { objectOf } from "./object.ts";

test("ten tokens of a connection are verified per second, and the others are refused without being verified", async () => {
  let verified = 0;
  const grants = { subscribe: ["*"], announce: [], until: Number.MAX_SAFE_INTEGER, key: "key" };
  const verify = async () => {
    verified += 1;
    return grants;
  };
  const { broker, clock, open } = objectOf({ guard: { keys: new Set(["key"]), verify } });
  const [greedy, other] = [await open(grants), await open(grants)];
  broker.received(greedy, "token x\n".repeat(12));
  await settled();
  expect(verified).toBe(10);
  expect(greedy.lines.slice(9)).toEqual([
    expect.stringMatching(/^debug!token accepted/),
    ...Array(2).fill("debug!error rate token: more than 10 tokens per second"),
  ]);
  broker.received(other, "token x");
  await settled();
  expect(verified).toBe(11);
  clock.now += 1_000;
  broker.received(greedy, "token x");
  await settled();
  expect(verified).toBe(12);
});
