/** What `fanout bench` has found out. */

export interface Report {
  /** Those that listen. */
  connections: number;
  openedInSeconds: number;
  /** Messages that were to be announced. */
  due: number;
  /** Those that have their place: fewer if the server, or this program, could not keep up. */
  announced: number;
  delivered: number;
  deliveriesPerSecond: number;
  /** In milliseconds; 0 where nothing came. */
  latency: Record<"median" | "percentile95" | "percentile99" | "largest", number>;
  /** Messages that a connection should have got and did not, of all connections together; so are the next two. */
  lost: number;
  repeated: number;
  outOfOrder: number;
  /** Connections that ended meanwhile, that of the announcer too. */
  closed: number;
}

/** Whether everything came, once and in order. */
export function isFlawless({ lost, repeated, outOfOrder, closed }: Report): boolean {
  return lost + repeated + outOfOrder + closed === 0;
}

export function formatReport(report: Report): string {
  const { latency } = report;
  const rows: [what: string, how: string][] = [
    ["connections", `${report.connections}, opened in ${report.openedInSeconds.toFixed(1)} s`],
    ["announced", `${report.announced} of ${report.due}`],
    ["delivered", `${report.delivered}, ${report.deliveriesPerSecond} a second`],
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
