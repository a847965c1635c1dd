/**
 * Computes what three typical uses cost in a month, and elsewhere: `node tools/bench/typical-uses.ts` prints the tables
 * of `docs/performance.md`, from the costs in `src/costs/measured.ts`.
 */
import { minus, requested, written } from "../../src/costs/cost.ts";
import { messages, type Use, usedIn } from "../../src/costs/free-plan.ts";
import { COSTS } from "../../src/costs/measured.ts";
import { ably, cloudflare, pubnub, pusher, type Traffic, type Usage } from "./list-prices.ts";
import { markdown, whole } from "./table.ts";

export interface TypicalUse {
  title: string;
  channels: number;
  /** Clients per channel, each of which connects and leaves once on each day. */
  people: number;
  /** Whether a channel's clients are in ten objects besides the channel's own, instead of all in that one. */
  isTree: boolean;
  /** Days in a month, and hours on each on which the channels are in use. */
  days: number;
  hours: number;
  /** Hours that each client is connected on such a day. */
  stay: number;
  /** Messages per channel on such a day: from clients, and from a backend by POST. */
  messages: number;
  updates: number;
}

export const USES: TypicalUse[] = [
  {
    title: "a chat of 1,000",
    ...{ channels: 1, people: 1_000, isTree: false },
    ...{ days: 22, hours: 10, stay: 8 },
    ...{ messages: 15_000, updates: 0 },
  },
  {
    title: "scores to 100,000",
    ...{ channels: 1, people: 100_000, isTree: true },
    ...{ days: 8, hours: 3, stay: 2 },
    ...{ messages: 0, updates: 500 },
  },
  {
    title: "devices in 10,000 channels",
    ...{ channels: 10_000, people: 1, isTree: false },
    ...{ days: 30, hours: 24, stay: 24 },
    ...{ messages: 0, updates: 24 },
  },
];

/** Returns what a use takes in a month. */
export function usageOf(use: TypicalUse): Usage {
  const { channels, people, isTree, days, hours, updates } = use;
  const { rows, requests, seconds } = isTree ? usedInTree(use) : usedIn(COSTS, use);
  const objects = isTree ? 11 : 1;
  const times = days * channels;
  return {
    workerRequests: times * (people + updates),
    requests: times * requests,
    rows: times * rows,
    // Clients that connect at about the same time keep an object in memory together.
    seconds: times * Math.min(seconds, objects * hours * 3_600),
  };
}

/** Returns what a day takes in which the clients are in ten objects besides the channel's. */
function usedInTree({ people, messages: announced, updates }: TypicalUse): Use {
  const more = minus(
    COSTS["a lone message by POST, retained"],
    COSTS["a lone message to 10 subscribers, no links, retained"],
  );
  const { rows, requests, seconds } = messages(COSTS, people, 10).use(announced + updates);
  // The channel's own object refers each client to another one.
  return { rows: rows + updates * written(more), requests: requests + people + updates * requested(more), seconds };
}

/** Returns what other services charge a use for. */
export function trafficOf({ channels, people, days, hours, stay, messages: announced, updates }: TypicalUse): Traffic {
  const messagesADay = channels * (announced + updates) * (1 + people);
  return {
    people: channels * people,
    connectionMinutes: channels * people * days * stay * 60,
    channelMinutes: channels * days * hours * 60,
    channels,
    messages: days * messagesADay,
    messagesADay,
  };
}

/** Formats what the uses are. */
export function useTable(uses: TypicalUse[]): string {
  const titles = [
    "",
    "channels",
    "clients of each",
    "days in the month",
    "hours connected",
    "messages of each channel",
  ];
  const rows = uses.map(({ title, channels, people, days, stay, messages: announced, updates }) => [
    title,
    ...[channels, people, days, stay].map(whole),
    announced > 0 ? `${whole(announced)} a day, from its clients` : `${whole(updates)} a day, by POST`,
  ]);
  return markdown([titles, ...rows]);
}

/** Formats what the uses take and cost in a month. */
export function costTable(uses: TypicalUse[]): string {
  const titles = ["in a month", "requests to the Worker", "requests to objects", "rows written", "seconds in memory"];
  const rows = uses.map((use) => {
    const usage = usageOf(use);
    const { workerRequests, requests, rows, seconds } = usage;
    return [use.title, ...[workerRequests, requests, rows, seconds].map(rounded), dollars(cloudflare(usage))];
  });
  return markdown([[...titles, "on Workers Paid"], ...rows]);
}

/** Formats what the uses cost in a month, next to other services' list prices. */
export function priceTable(uses: TypicalUse[]): string {
  const titles = ["in a month", "messages and deliveries", "Fanout", "Ably", "Pusher", "PubNub"];
  const rows = uses.map((use) => {
    const traffic = trafficOf(use);
    const prices = [cloudflare(usageOf(use)), ably(traffic), pusher(traffic), pubnub(traffic)];
    return [use.title, rounded(traffic.messages), ...prices.map(dollars)];
  });
  return markdown([titles, ...rows]);
}

/** Rounds to three digits. */
function rounded(value: number): string {
  return whole(Number(value.toPrecision(3)));
}

function dollars(value: number | undefined): string {
  return value === undefined ? "by agreement" : `$${whole(Math.round(value))}`;
}

if (import.meta.main) console.log([useTable(USES), costTable(USES), priceTable(USES)].join("\n\n"));
