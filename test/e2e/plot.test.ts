import { expect, test } from "vitest";
import type { Outcome } from "../../tools/bench/contest.ts";
import { type Measured, plot, THEMES } from "../../tools/bench/plot.ts";

const OUTCOME: Outcome = {
  name: "",
  rate: 1,
  spread: [1, 1],
  behind: 1,
  latencies: Float64Array.of(),
  rounds: Float64Array.of(),
  serverCpu: 0,
  generatorCpu: 0,
};

function measured(shows: "rates" | "latencies" | undefined, outcomes: Partial<Outcome>[]): Measured {
  const panel = shows && { panel: { shows, title: `the ${shows}` } };
  const row = { number: 1, title: "", contenders: [], ...panel };
  return { row, outcomes: outcomes.map((outcome) => ({ ...OUTCOME, ...outcome })) };
}

const ascending = (count: number) => Float64Array.from({ length: count }, (_, i) => i + 1);

const RATES = measured("rates", [
  { name: "fast", rate: 1_234_567, spread: [1_000_000, 2_000_000] },
  { name: "slow", rate: 1_000, spread: [900, 1_100] },
]);
const LATENCIES = measured("latencies", [
  { name: "fast", latencies: ascending(10_000) },
  { name: "slow", latencies: ascending(100) },
]);

test("each server has one color, and each rate a bar with its number", () => {
  const svg = plot([RATES, LATENCIES, measured(undefined, [{ name: "hidden" }])], THEMES.light);
  expect(svg.match(/>(fast|slow|hidden|1\.2M|1k)</g)).toEqual([">fast<", ">slow<", ">1k<", ">1.2M<", ">1k<", ">1k<"]);
  expect(svg.match(/>deliveries\/s: the rates</g)).toHaveLength(1);
  expect(svg.match(/>latency in ms: the latencies</g)).toHaveLength(1);
  // Legend and bar, or curve.
  for (const color of THEMES.light.lines.slice(0, 2)) expect(svg.split(color)).toHaveLength(4);
});

test("curves end where too few values are left", () => {
  const [fast = "", slow = ""] = plot([LATENCIES], THEMES.dark).match(/<polyline points="[^"]*"/g) ?? [];
  const [points, fewer] = [fast, slow].map((line) => line.split(",").length - 1);
  expect(points).toBe(9);
  expect(fewer).toBe(6);
});
