/** The log and the metrics have the same words: the labels of each event, with the error code that clients receive. */
import { expect, test } from "vitest";
import { CLOSINGS, isClosingCause } from "../../../src/protocol/close-codes.ts";
import { ERROR_CODES } from "../../../src/protocol/errors.ts";
import type { ServiceFigures } from "../../../src/runtime/calls.ts";
import { formatMetrics } from "../../../src/stats/metrics.ts";
import { operatorLog } from "../../../src/stats/operator-log.ts";
import { CALLS, LOGGED, labelsOf, type Name } from "../../../src/stats/tally.ts";
import { noTotals } from "../../../src/stats/totals.ts";

/** Figures of a service in which only some events have occurred. */
function figuresOf(others: Record<string, number>): ServiceFigures {
  return {
    ...{ since: 0, peak: 0, connections: 0, channels: 0, subscriptions: 0, requested: 0, objects: 0, unreachable: 0 },
    totals: { ...noTotals(), others },
  };
}

/** Returns the samples that aren't zero. */
function samples(others: Record<string, number>): string[] {
  return formatMetrics(figuresOf(others))
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#") && !line.endsWith(" 0"));
}

test.each<[Name, string]>([
  ["closes.slow", 'fanout_connections_closed_total{reason="slow",code="unavailable"} 7'],
  ["closes.revoked", 'fanout_connections_closed_total{reason="revoked",code="revoked"} 7'],
  ["closes.client", 'fanout_connections_closed_total{reason="client",code=""} 7'],
  ["refused.revoked", 'fanout_commands_refused_total{code="revoked"} 7'],
  ["requests.forbidden", 'fanout_requests_refused_total{code="forbidden"} 7'],
  ["worker.keys", 'fanout_worker_failures_total{kind="keys",code="unavailable"} 7'],
  ["failures.deliver", 'fanout_call_failures_total{kind="deliver",code="unavailable"} 7'],
  ["failures.announce", 'fanout_call_failures_total{kind="announce",code="uncertain"} 7'],
  ["calls.deliver", 'fanout_calls_total{kind="deliver"} 7'],
  ["resumes.gap", 'fanout_resumes_total{outcome="gap"} 7'],
  ["members.enter", 'fanout_member_changes_total{kind="enter"} 7'],
  ["rows.refused", "fanout_rows_refused_total 7"],
])("the metric of %s is %s", (name, sample) => {
  expect(samples({ [name]: 7 })).toEqual([sample]);
});

test("every close and every refusal of the code has a metric with its error code", () => {
  for (const cause of Object.keys(CLOSINGS).filter(isClosingCause)) {
    const { code } = CLOSINGS[cause];
    const sample = `fanout_connections_closed_total{reason="${cause}",code="${code}"} 1`;
    expect(samples({ [`closes.${cause}`]: 1 })).toEqual([sample]);
  }
  for (const code of ERROR_CODES) {
    expect(samples({ [`refused.${code}`]: 1 })).toEqual([`fanout_commands_refused_total{code="${code}"} 1`]);
    expect(samples({ [`requests.${code}`]: 1 })).toEqual([`fanout_requests_refused_total{code="${code}"} 1`]);
  }
  for (const kind of CALLS) expect(labelsOf(`failures.${kind}`)).toMatchObject({ kind, code: expect.any(String) });
});

test("events with unknown names have no metric, so that the number of metrics is bounded", () => {
  const others = { "requests.made-up": 1, "closes.made-up": 1, 'requests.x"} 1': 1 };
  expect(samples(others)).toEqual([]);
});

test("every line of the log has the labels of its metric, and what is known of the newest event", () => {
  const lines: unknown[] = [];
  const log = operatorLog({ log: (line) => void lines.push(line), now: () => 0 });
  for (const name of LOGGED) log(name);
  expect(lines).toEqual([...LOGGED].map((event) => ({ event, times: 1, ...labelsOf(event) })));
  for (const event of LOGGED) if (event !== "resumes.gap") expect(labelsOf(event).code).toBeTruthy();
  lines.length = 0;
  const other = operatorLog({ log: (line) => void lines.push(line), now: () => 0 });
  other("refused.limit", { command: "subscribe" });
  other("failures.link", { to: "all", cause: "Error: no answer in time" });
  expect(lines).toEqual([
    { event: "refused.limit", times: 1, code: "limit", command: "subscribe" },
    {
      ...{ event: "failures.link", times: 1, kind: "link", code: "unavailable" },
      ...{ to: "all", cause: "Error: no answer in time" },
    },
  ]);
});
