/** The report of `fanout bench`. */

export interface Report {
  /** Subscribers. */
  connections: number;
  openedInSeconds: number;
  /** Messages to announce. */
  due: number;
  /** Acknowledged messages: fewer if the server, or this program, could not sustain the rate. */
  announced: number;
  delivered: number;
  deliveriesPerSecond: number;
  /** In milliseconds; 0 if nothing was delivered. */
  latency: Record<"median" | "percentile95" | "percentile99" | "largest", number>;
  /** Messages that a connection didn't receive, summed over all connections, like the next two. */
  lost: number;
  repeated: number;
  outOfOrder: number;
  /** Connections that ended early, including the publisher's. */
  closed: number;
}

/** Whether all messages were delivered once and in order. */
export function isFlawless({ lost, repeated, outOfOrder, closed }: Report): boolean {
  return lost + repeated + outOfOrder + closed === 0;
}

export function formatReport(report: Report): string {
  const { latency } = report;
  const rows: [what: string, how: string][] = [
    ["connections", `${report.connections}, opened in ${report.openedInSeconds.toFixed(1)} s`],
    ["announced", `${report.announced} of ${report.due}`],
    ["delivered", `${report.delivered}, ${report.deliveriesPerSecond} per second`],
    [
      "latency",
      `median ${inMs(latency.median)}, 95 % ${inMs(latency.percentile95)}, 99 % ${inMs(latency.percentile99)}, largest ${inMs(latency.largest)}`,
    ],
    ["lost", String(report.lost)],
    ["repeated", String(report.repeated)],
    ["out of order", String(report.outOfOrder)],
    ["closed", String(report.closed)],
  ];
  return rows.map(([what, how]) => what.padEnd(14) + how).join("\n");
}

function inMs(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}
