import { expect, test } from "vitest";
import { Latencies } from "../../../src/cli/latencies.ts";

/** How exact it promises to be. */
const EXACT = 1.02;

test("tells what parts of all did not exceed, within two hundredths, and the largest exactly", () => {
  const latencies = new Latencies();
  for (let i = 1; i <= 1_000; i++) latencies.add(i / 7);
  for (const [part, exact] of [
    [0.5, 500 / 7],
    [0.95, 950 / 7],
    [0.99, 990 / 7],
  ] as const) {
    expect(latencies.within(part)).toBeGreaterThanOrEqual(exact);
    expect(latencies.within(part)).toBeLessThanOrEqual(exact * EXACT);
  }
  expect(latencies.largest).toBe(1_000 / 7);
  expect(latencies.within(1)).toBe(1_000 / 7);
});

test("has room for what takes no time, and for what takes for ever", () => {
  const latencies = new Latencies();
  latencies.add(0);
  latencies.add(1e9);
  expect(latencies.within(0.5)).toBeLessThan(0.02);
  expect(latencies.largest).toBe(1e9);
  expect(new Latencies().within(0.5)).toBe(0);
});
