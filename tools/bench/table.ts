/** Formats the results. */
import { type Outcome, quantile } from "./contest.ts";
import type { Row } from "./rows.ts";

const COLUMNS = [14, 14, 9, 10, 10, 10, 10, 8, 10];

export const HEADER = `
ours: this project. loop: an object that sends each message to each socket as it arrives. nats: a
native server, over WebSocket. Messages have 32 bytes.

Deliveries per second (a message received by one subscriber is one), and the ratio to the first
of each group. Milliseconds from sending a message to receiving it: half of the deliveries,
99 %, and 99.9 % take no longer; to the last subscriber, where that is known. Then the CPU use
of the server and the load generator, in cores; all are on this machine.

${cells(["", "deliveries/s", "ratio", "p50", "p99", "p99.9", "last p50", "server", "generator"])}`;

export function block({ number, title, single }: Row, outcomes: Outcome[]): string {
  const lines = outcomes.map((outcome, index) =>
    cells([
      outcome.name,
      whole(Math.round(outcome.rate)),
      index === 0 ? "" : `${significant(outcome.behind)}x`,
      ...[0.5, 0.99, 0.999].map((part) => significant(quantile(outcome.latencies, part))),
      single ? significant(quantile(outcome.rounds, 0.5)) : "",
      percent(outcome.serverCpu),
      percent(outcome.generatorCpu),
    ]),
  );
  return [`\n${number}. ${title}`, ...lines].join("\n");
}

/** Formats a Markdown table; the first row has the titles. */
export function markdown([titles = [], ...rows]: string[][]): string {
  const lines = [titles, titles.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Formats a whole number. */
export function whole(value: number): string {
  return value.toLocaleString("en-US");
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function cells(texts: string[]): string {
  const aligned = texts.map((text, index) => {
    const width = COLUMNS[index] ?? 0;
    return index === 0 ? `   ${text.padEnd(width)}` : text.padStart(width);
  });
  return aligned.join("");
}

/** Rounds to three digits, the precision of such measurements. */
function significant(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
