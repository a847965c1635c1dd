/**
 * Computes what the Workers free plan carries in a day: `node tools/bench/free-plan.ts` prints the tables of
 * `docs/costs.md`.
 */
import {
  channels,
  type Day,
  FREE,
  messages,
  most,
  percent,
  type Service,
  shares,
  type Use,
  usedIn,
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

/** Products of one channel each, and a day of them. */
export const DAYS: [product: string, day: Day][] = [
  ["a family's shopping list", { people: 5, messages: 100, updates: 0 }],
  ["a team's chat, with updates from its tools", { people: 50, messages: 2_000, updates: 500 }],
  ["the orders of a shop, for its staff", { people: 20, messages: 0, updates: 3_000 }],
  ["a sensor's value every ten seconds", { people: 100, messages: 0, updates: 8_640 }],
  ["the scores of a match day", { people: 5_000, messages: 0, updates: 1_000 }],
  ["the chat of a public event", { people: 5_000, messages: 20_000, updates: 0 }],
  ["a busy game", { people: 1_000, messages: 80_000, updates: 0 }],
];

/** Formats the share of the limits that each day uses, as a Markdown table. */
export function dayTable(days: typeof DAYS, limits: Use): string {
  return markdown(
    [
      "in a day",
      "people",
      "their messages",
      "updates",
      "rows written",
      "requests",
      "time in memory",
      "of the free plan",
    ],
    days.map(([product, day]) => {
      const used = shares(usedIn(COSTS, day), limits);
      const { people, messages: announced, updates } = day;
      const most = `**${percent(Math.max(...used))}**`;
      return [product, ...[people, announced, updates].map(whole), ...used.map(percent), most];
    }),
  );
}

/** Formats how many of each fit, alone, as a Markdown table. */
export function table(services: Service[], limits: Use): string {
  return markdown(
    ["per day", "at most", "rows written", "requests", "time in memory"],
    services.map((service) => {
      const count = most(service, limits);
      return [service.title, rounded(count), ...shares(service.use(count), limits).map(percent)];
    }),
  );
}

function markdown(head: string[], rows: string[][]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Rounds down to three digits. */
function rounded(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return whole(Math.floor(count / unit) * unit);
}

if (import.meta.main)
  console.log(`${dayTable(DAYS, FREE)}

${table(SERVICES, FREE)}`);
