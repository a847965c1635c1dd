import { expect, test } from "vitest";
import { Latencies } from "../../../src/cli/latencies.ts";

/** The promised precision. */
const EXACT = 1.02;

test("returns quantiles within 2 %, and the largest exactly", () => {
  const latencies = new Latencies();
  for (let i = 1; i <= 1_000; i++) latencies.add(i / 7);
  for (const [part, exact] of [
    [0.5, 500 / 7],
    [0.95, 950 / 7],
    [0.99, 990 / 7],
  ] as const) {
    expect(latencies.quantile(part)).toBeGreaterThanOrEqual(exact);
    expect(latencies.quantile(part)).toBeLessThanOrEqual(exact * EXACT);
  }
  expect(latencies.largest).toBe(1_000 / 7);
  expect(latencies.quantile(1)).toBe(1_000 / 7);
});

test("accepts any latency", () => {
  const latencies = new Latencies();
  latencies.add(0);
  latencies.add(1e9);
  expect(latencies.quantile(0.5)).toBeLessThan(0.02);
  expect(latencies.largest).toBe(1e9);
  expect(new Latencies().quantile(0.5)).toBe(0);
});
