/**
 * Computes what the Workers free plan carries in a day: `node tools/bench/free-plan.ts` prints the table of this
 * folder's `README.md`.
 */
import {
  channels,
  FREE,
  messages,
  most,
  percent,
  type Service,
  shares,
  type Use,
  whole,
} from "../../src/costs/free-plan.ts";
import { COSTS } from "../../src/costs/measured.ts";

export const SERVICES: Service[] = [
  ...[10, 1_000].map((subscribers) => messages(COSTS, subscribers, 0)),
  ...[10, 1_000].map((subscribers) => messages(COSTS, subscribers, 10)),
  messages(COSTS, 1_000, 0, false),
  messages(COSTS, 1_000, 10, false),
  ...[10, 100].map((subscribers) => channels(COSTS, subscribers, 10)),
  channels(COSTS, 1, 0),
];

/** Formats how many of each fit, alone, as a Markdown table. */
export function table(services: Service[], limits: Use): string {
  const row = (...cells: string[]) => `| ${cells.join(" | ")} |`;
  return [
    row("per day", "at most", "rows written", "requests", "time in memory"),
    row("---", "---", "---", "---", "---"),
    ...services.map((service) => {
      const count = most(service, limits);
      return row(service.title, rounded(count), ...shares(service.use(count), limits).map(percent));
    }),
  ].join("\n");
}

/** Rounds down to three digits. */
function rounded(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return whole(Math.floor(count / unit) * unit);
}

if (import.meta.main) console.log(table(SERVICES, FREE));
