/**
 * Formats the figures of the service for Prometheus, see
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Names and labels are fixed, so their number is bounded.
 */
import type { ServiceFigures } from "../runtime/calls.ts";
import { CALLS, CLOSED, REFUSED } from "./tally.ts";

type Sample = [labels: string, value: number];

interface Metric {
  name: string;
  type: "counter" | "gauge";
  help: string;
  samples: Sample[];
}

/** Returns the body of `GET /-/metrics`. */
export function formatMetrics(figures: ServiceFigures): string {
  return [...gauges(figures), ...counters(figures), ...labelled(figures)].map(format).join("");
}

function format({ name, type, help, samples }: Metric): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function gauges(figures: ServiceFigures): Metric[] {
  const rows: [name: string, help: string, value: number][] = [
    ["start_time_seconds", "Time of the first use of the service, in Unix seconds.", figures.since / 1000],
    ["connections", "Open connections.", figures.connections],
    ["channels", "Channels with subscribers.", figures.channels],
    ["subscriptions", "Current subscriptions.", figures.subscriptions],
    ["objects", "Objects that hold connections.", figures.objects],
    [
      "unreachable_objects",
      "Objects that did not answer, so that the other figures exclude them.",
      figures.unreachable,
    ],
    ["history_bytes", "Bytes of retained messages, in objects that hold connections.", figures.kept ?? 0],
    ["deepest_hop", "Hops of the longest recent chain of calls between objects.", figures.deepest ?? 0],
  ];
  return rows.map(([name, help, value]) => {
    return { name: `fanout_${name}`, type: "gauge", help, samples: [["", value]] };
  });
}

function counters({ totals }: ServiceFigures): Metric[] {
  const { rows = 0, awake = 0 } = totals.others ?? {};
  const counted: [name: string, help: string, value: number][] = [
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
  return counted.map(([name, help, value]) => {
    return { name: `fanout_${name}_total`, type: "counter", help, samples: [["", value]] };
  });
}

function labelled({ totals: { others = {} } }: ServiceFigures): Metric[] {
  const counted: [name: string, help: string, label: string, prefix: string, values: readonly string[]][] = [
    ["resumes", "Subscriptions resumed from a position.", "outcome", "resumes", ["complete", "gap"]],
    ["connections_closed", "Connections closed.", "reason", "closes", CLOSED],
    ["commands_refused", "Commands refused.", "reason", "refused", REFUSED],
    ["calls", "Calls between objects.", "kind", "calls", CALLS],
    ["call_failures", "Calls between objects that failed.", "kind", "failures", CALLS],
  ];
  return counted.map(([name, help, label, prefix, values]) => {
    const samples = values.map((value): Sample => [`{${label}="${value}"}`, others[`${prefix}.${value}`] ?? 0]);
    return { name: `fanout_${name}_total`, type: "counter", help, samples };
  });
}
