/**
 * Formats the figures of the service for Prometheus, see
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Names and labels are fixed, so their number is bounded.
 */
import { ERROR_CODES } from "../protocol/errors.ts";
import type { ServiceFigures } from "../runtime/calls.ts";
import { CALLS, CLOSED, type Labels, labelsOf, MEMBER_CHANGES, type Name, WORKER_FAILURES } from "./tally.ts";

/** The name, help and value of a metric without labels. */
type Row = [name: string, help: string, value: number];

/** Returns the body of `GET /-/metrics`. */
export function formatMetrics(figures: ServiceFigures): string {
  const { others = {} } = figures.totals;
  return [
    ...gauges(figures).map(([name, help, value]) => format(name, "gauge", help, [["", value]])),
    ...counters(figures).map(([name, help, value]) => format(`${name}_total`, "counter", help, [["", value]])),
    ...LABELLED.map(([name, help, events]) =>
      format(
        `${name}_total`,
        "counter",
        help,
        events.map((event) => [formatLabels(labelsOf(event)), others[event] ?? 0]),
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
  const { rows = 0, "rows.refused": refused = 0, awake = 0 } = totals.others ?? {};
  return [
    ["connections_opened", "Connections admitted.", totals.connections],
    ["connections_rejected", "Connections rejected because the service was full.", totals.rejected],
    ["announcements", "Messages announced.", totals.announcements],
    ["messages", "Messages sent to subscribers.", totals.messages],
    ["subscribes", "Subscriptions started.", totals.subscribes],
    ["unsubscribes", "Subscriptions ended.", totals.unsubscribes],
    ["pings", "Pings answered.", totals.pings],
    ["rows_written", "Rows written to storage.", rows],
    ["rows_refused", "Rows and alarms that storage refused.", refused],
    ["awake_seconds", "Time that objects spent in memory because of events, in seconds.", awake / 1000],
  ];
}

const LABELLED: [name: string, help: string, events: readonly Name[]][] = [
  ["resumes", "Subscriptions resumed from a position.", ["resumes.complete", "resumes.gap"]],
  ["member_changes", "Changes of members announced.", MEMBER_CHANGES.map((kind): Name => `members.${kind}`)],
  ["connections_closed", "Connections closed.", CLOSED.map((reason): Name => `closes.${reason}`)],
  ["commands_refused", "Commands refused.", ERROR_CODES.map((code): Name => `refused.${code}`)],
  ["requests_refused", "Requests that the Worker refused.", ERROR_CODES.map((code): Name => `requests.${code}`)],
  ["worker_failures", "Failures of the Worker itself.", WORKER_FAILURES.map((kind): Name => `worker.${kind}`)],
  ["calls", "Calls between objects.", CALLS.map((kind): Name => `calls.${kind}`)],
  ["call_failures", "Calls between objects that failed.", CALLS.map((kind): Name => `failures.${kind}`)],
];

/** Formats labels; an empty one, which Prometheus ignores, gives all series of a metric the same labels. */
function formatLabels(labels: Labels): string {
  return `{${Object.entries(labels)
    .map(([label, value]) => `${label}="${value}"`)
    .join(",")}}`;
}
