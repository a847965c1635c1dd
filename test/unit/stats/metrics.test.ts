import { expect, test } from "vitest";
import type { ServiceFigures, Tally } from "../../../src/runtime/calls.ts";
import { formatMetrics } from "../../../src/stats/metrics.ts";
import { noTotals } from "../../../src/stats/totals.ts";

/** Figures of a service in which nothing has happened, with some counters. */
function figures(others: Tally, more: Partial<ServiceFigures> = {}): ServiceFigures {
  const sizes = { connections: 0, peak: 0, subscriptions: 0, requested: 0, objects: 0, unreachable: 0, channels: 0 };
  return { ...sizes, since: 0, totals: { ...noTotals(), others }, ...more };
}

/** Returns the lines of a metric. */
function linesOf(metric: string, of: ServiceFigures): string[] {
  return formatMetrics(of)
    .split("\n")
    .filter((line) => line.startsWith(`fanout_${metric}`));
}

test("members and their changes are metrics", () => {
  const of = figures({ "members.enter": 5, "members.update": 3, "members.leave": 2 }, { members: 4 });
  expect(linesOf("member", of)).toEqual([
    "fanout_members 4",
    'fanout_member_changes_total{kind="enter"} 5',
    'fanout_member_changes_total{kind="update"} 3',
    'fanout_member_changes_total{kind="leave"} 2',
  ]);
  expect(formatMetrics(of)).toContain("# TYPE fanout_members gauge\n");
  expect(formatMetrics(of)).toContain("# TYPE fanout_member_changes_total counter\n");
});

test("members and their changes are 0 where no object reports any", () => {
  expect(linesOf("member", figures({}))).toEqual([
    "fanout_members 0",
    'fanout_member_changes_total{kind="enter"} 0',
    'fanout_member_changes_total{kind="update"} 0',
    'fanout_member_changes_total{kind="leave"} 0',
  ]);
});

test("each metric has one help, one type and at least one sample, and no name occurs twice", () => {
  const lines = formatMetrics(figures({})).trimEnd().split("\n");
  const helped = lines.flatMap((line) => /^# HELP (\w+) .+\.$/.exec(line)?.[1] ?? []);
  const typed = lines.flatMap((line) => /^# TYPE (\w+) (?:gauge|counter)$/.exec(line)?.[1] ?? []);
  const sampled = lines.flatMap((line) => /^(\w+)(?:\{\w+="[\w-]*"(?:,\w+="[\w-]*")*\})? \d+$/.exec(line)?.[1] ?? []);
  expect(new Set(helped).size).toBe(helped.length);
  expect(typed).toEqual(helped);
  expect([...new Set(sampled)]).toEqual(helped);
  expect(sampled.length + typed.length + helped.length).toBe(lines.length);
});
