/** Formats the results, as Markdown. */
import { median, type Outcome, quantile } from "./contest.ts";
import type { Row } from "./rows.ts";

const PARTS = [0.5, 0.99, 0.999];

/** Formats the results of a row as a table below its title. */
export function block({ number, title, single }: Row, outcomes: Outcome[]): string {
  const titles = ["", "deliveries/s", "lowest to highest", "ratio", "p50", "p99", "p99.9"];
  const last = single ? ["last p50"] : [];
  const rows = outcomes.map((outcome, index) => [
    outcome.name,
    rate(outcome.rate),
    outcome.spread.map(rate).join(" to "),
    index === 0 ? "" : `${significant(outcome.behind)}x`,
    ...PARTS.map((part) => significant(quantile(outcome.latencies, part))),
    ...(single ? [significant(quantile(outcome.rounds, 0.5))] : []),
    percent(outcome.serverCpu),
    percent(outcome.generatorCpu),
  ]);
  return `\n**${number}. ${title}**\n\n${markdown([[...titles, ...last, "server", "generator"], ...rows])}`;
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

/** Formats a rate with three digits, the precision of such measurements. */
export function rate(value: number): string {
  return whole(Number(value.toPrecision(3)));
}

/** Formats the median of some rates, with the lowest and the highest. */
export function spread(rates: number[]): string {
  return `${rate(median(rates))} (${rate(Math.min(...rates))} to ${rate(Math.max(...rates))})`;
}

/** Rounds to three digits. */
function significant(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
