/**
 * The figures of the service as Prometheus reads them,
 * https://prometheus.io/docs/instrumenting/exposition_formats/: each name is known here, and so is each label.
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

/** The text of a page of metrics. */
export function formatMetrics(figures: ServiceFigures): string {
  return [...gauges(figures), ...counters(figures), ...labelled(figures)].map(format).join("");
}

function format({ name, type, help, samples }: Metric): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function gauges(figures: ServiceFigures): Metric[] {
  const rows: [name: string, help: string, value: number][] = [
    ["start_time_seconds", "When the service was first used, in Unix seconds.", figures.since / 1000],
    ["connections", "Connections now.", figures.connections],
    ["channels", "Channels that somebody is subscribed to.", figures.channels],
    ["subscriptions", "Subscriptions now.", figures.subscriptions],
    ["objects", "Objects that hold connections.", figures.objects],
    [
      "unreachable_objects",
      "Objects that did not answer; nothing of theirs is counted.",
      figures.unreachable,
    ],
    ["history_bytes", "Characters kept of channels whose object holds connections.", figures.kept ?? 0],
    ["deepest_hop", "The deepest call between objects of late.", figures.deepest ?? 0],
  ];
  return rows.map(([name, help, value]) => {
    return { name: `fanout_${name}`, type: "gauge", help, samples: [["", value]] };
  });
}

function counters({ totals }: ServiceFigures): Metric[] {
  const { rows = 0, awake = 0 } = totals.others ?? {};
  const counted: [name: string, help: string, value: number][] = [
    ["connections_opened", "Connections that were let in.", totals.connections],
    ["connections_rejected", "Connections that were one too many.", totals.rejected],
    ["announcements", "Messages that were announced.", totals.announcements],
    ["messages", "Messages that went out to subscribers.", totals.messages],
    ["subscribes", "Subscriptions that began.", totals.subscribes],
    ["unsubscribes", "Subscriptions that ended.", totals.unsubscribes],
    ["pings", "Pings that were answered.", totals.pings],
    ["rows_written", "Rows written to storage.", rows],
    ["awake_seconds", "Time for which events kept objects in memory.", awake / 1000],
  ];
  return counted.map(([name, help, value]) => {
    return { name: `fanout_${name}_total`, type: "counter", help, samples: [["", value]] };
  });
}

function labelled({ totals: { others = {} } }: ServiceFigures): Metric[] {
  const counted: [name: string, help: string, label: string, what: string, values: readonly string[]][] = [
    ["resumes", "Who came back with a position.", "outcome", "resumes", ["complete", "gap"]],
    ["connections_closed", "Connections that ended.", "reason", "closes", CLOSED],
    ["commands_refused", "Commands that were refused.", "reason", "refused", REFUSED],
    ["calls", "Calls between objects.", "kind", "calls", CALLS],
    ["call_failures", "Calls between objects that failed.", "kind", "failures", CALLS],
  ];
  return counted.map(([name, help, label, what, values]) => {
    const samples = values.map((value): Sample => [`{${label}="${value}"}`, others[`${what}.${value}`] ?? 0]);
    return { name: `fanout_${name}_total`, type: "counter", help, samples };
  });
}
