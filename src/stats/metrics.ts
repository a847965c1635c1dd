/**
 * Formats the figures of the service for Prometheus, see
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Names and labels are fixed, so their number is bounded.
 */
import { ERROR_CODES } from "../protocol/errors.ts";
import type { ServiceFigures } from "../runtime/calls.ts";
import { CALLS, CLOSED, MEMBER_CHANGES } from "./tally.ts";

/** The name, help and value of a metric without labels. */
type Row = [name: string, help: string, value: number];

/** Returns the body of `GET /-/metrics`. */
export function formatMetrics(figures: ServiceFigures): string {
  const { others = {} } = figures.totals;
  return [
    ...gauges(figures).map(([name, help, value]) => format(name, "gauge", help, [["", value]])),
    ...counters(figures).map(([name, help, value]) => format(`${name}_total`, "counter", help, [["", value]])),
    ...LABELLED.map(([name, help, label, prefix, values]) =>
      format(
        `${name}_total`,
        "counter",
        help,
        values.map((value) => [`{${label}="${value}"}`, others[`${prefix}.${value}`] ?? 0]),
      ),
    ),
  ].join("");
}

function format(name: string, type: "counter" | "gauge", help: string, samples: [labels: string, n: number][]): string {
  const lines = samples.map(([labels, value]) => `fanout_${name}${labels} ${value}\n`);
  return `# HELP fanout_${name} ${help}\n# TYPE fanout_${name} ${type}\n${lines.join("")}`;
}

function gauges(figures: ServiceFigures): Row[] {
  return [
    ["start_time_seconds", "Time of the first use of the service, in Unix seconds.", figures.since / 1000],
    ["connections", "Open connections.", figures.connections],
    ["channels", "Channels with subscribers.", figures.channels],
    ["subscriptions", "Current subscriptions.", figures.subscriptions],
    ["members", "Members with connections, summed over the objects that hold these.", figures.members ?? 0],
    ["objects", "Objects that hold connections.", figures.objects],
    [
      "unreachable_objects",
      "Objects that did not answer, so that the other figures exclude them.",
      figures.unreachable,
    ],
    ["history_bytes", "Bytes of retained messages, in objects that hold connections.", figures.kept ?? 0],
    ["deepest_hop", "Hops of the longest recent chain of calls between objects.", figures.deepest ?? 0],
  ];
}

function counters({ totals }: ServiceFigures): Row[] {
  const { rows = 0, awake = 0 } = totals.others ?? {};
  return [
    ["connections_opened", "Connections admitted.", totals.connections],
    ["connections_rejected", "Connections rejected because the service was full.", totals.rejected],
    ["announcements", "Messages announced.", totals.announcements],
    ["messages", "Messages sent to subscribers.", totals.messages],
    ["subscribes", "Subscriptions started.", totals.subscribes],
    ["unsubscribes", "Subscriptions ended.", totals.unsubscribes],
    ["pings", "Pings answered.", totals.pings],
    ["rows_written", "Rows written to storage.", rows],
    ["awake_seconds", "Time that objects spent in memory because of events, in seconds.", awake / 1000],
  ];
}

const LABELLED: [name: string, help: string, label: string, prefix: string, values: readonly string[]][] = [
  ["resumes", "Subscriptions resumed from a position.", "outcome", "resumes", ["complete", "gap"]],
  ["member_changes", "Changes of members announced.", "kind", "members", MEMBER_CHANGES],
  ["connections_closed", "Connections closed.", "reason", "closes", CLOSED],
  ["commands_refused", "Commands refused.", "reason", "refused", ERROR_CODES],
  ["calls", "Calls between objects.", "kind", "calls", CALLS],
  ["call_failures", "Calls between objects that failed.", "kind", "failures", CALLS],
];
