/**
 * Computes what the Workers free plan carries in a day: `node tools/bench/free-plan.ts` prints the table of this
 * folder's `README.md` from the inputs below.
 */
import { type Cost, minus, plus, requested, times, written } from "./cost.ts";
import type { Costs } from "./events.ts";
import { markdown, percent, whole } from "./table.ts";

/** The cost of each kind of event, from `costs.ts`. */
export const COSTS: Costs = {
  "connecting to an unused channel": {
    rows: { counted: 1, downstream: 1, upstream: 1 },
    requests: { link: 1, upgrade: 1 },
    seconds: 2,
  },
  "connecting to a channel in use": { rows: {}, requests: { upgrade: 1 }, seconds: 1 },
  "leaving a channel still in use": { rows: {}, requests: {}, seconds: 1 },
  "leaving a channel as its last client": {
    rows: { counted: 1, downstream: 1, everything: 1, service: 1, upstream: 1 },
    requests: { unlink: 1 },
    seconds: 2,
  },
  "an object's first subscription to another channel": {
    rows: { downstream: 1, order: 1, upstream: 1 },
    requests: { link: 1, message: 1 },
    seconds: 2,
  },
  "another subscription of that object": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "unsubscribing while others stay subscribed": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "an object's last unsubscribe": {
    rows: { downstream: 1, everything: 1, order: 1, upstream: 1 },
    requests: { message: 1, unlink: 1 },
    seconds: 2,
  },
  "`info`, with 10 objects in use": {
    rows: {},
    requests: { figures: 10, message: 1, serviceFigures: 1 },
    seconds: 2,
  },
  "a lone message to 10 subscribers, no links": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "a lone message from another object": { rows: {}, requests: { forward: 1, message: 1 }, seconds: 2 },
  "a lone message, 1 link": {
    rows: { alarm: 1, order: 1 },
    requests: { alarm: 1, deliver: 1, message: 1 },
    seconds: 2,
  },
  "a lone message, 10 links": {
    rows: { alarm: 1, order: 1 },
    requests: { alarm: 1, deliver: 10, message: 1 },
    seconds: 11,
  },
  "one more message immediately after, 10 links": {
    rows: {},
    requests: { deliver: 10, message: 1 },
    seconds: 1.2,
  },
  "a message every two seconds for a minute, 10 links": {
    rows: { alarm: 30, counted: 11, order: 30 },
    requests: { alarm: 6, deliver: 300, message: 30 },
    seconds: 331,
  },
  "a lone message to 10 subscribers, no links, retained": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, message: 1 },
    seconds: 2,
  },
  "a lone message from another object, retained": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, forward: 1, message: 1 },
    seconds: 3,
  },
  "a lone message, 1 link, retained": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 1, message: 1 },
    seconds: 3,
  },
  "a lone message, 10 links, retained": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 10, message: 1 },
    seconds: 12,
  },
  "one more message immediately after, 10 links, retained": {
    rows: { history: 1 },
    requests: { deliver: 10, message: 1 },
    seconds: 1.2,
  },
  "a message every two seconds for a minute, 10 links, retained": {
    rows: { alarm: 9, counted: 11, history: 35, order: 30 },
    requests: { alarm: 9, deliver: 300, message: 30 },
    seconds: 333,
  },
};

/** Usage in a day, or its limits. */
export interface Use {
  rows: number;
  requests: number;
  seconds: number;
}

/**
 * Rows written, requests to objects, and GB-seconds, of which an active object takes 128 MB:
 * https://developers.cloudflare.com/durable-objects/platform/pricing/
 */
export const FREE: Use = { rows: 100_000, requests: 100_000, seconds: 13_000 / 0.128 };

/** A kind of use; `most` finds how often it fits into a day. */
export interface Service {
  title: string;
  /** Returns the usage of `count` of them. */
  use(count: number): Use;
}

const DAY = 24 * 3600;

/**
 * Seconds between checks for expired messages, by default: the alarm for this is set no more often, and at that time
 * the newest message's text is deleted if it has expired.
 */
const TRIM_INTERVAL = 2.125 * 120;
/** Seconds between an object's checks that its links have received what it has stored. */
const LINK_CHECK_INTERVAL = 10;

/**
 * Messages per day on one channel, evenly spread. Each finds settled objects, as far as time allows; an
 * object is awake for at most the whole day.
 * @param links number of other objects that the subscribers are connected to; 0 if all are connected to the channel itself
 * @param isRetained whether messages are retained
 */
export function messages(costs: Costs, subscribers: number, links: 0 | 10, isRetained = true): Service {
  const kind = links === 0 ? "a lone message to 10 subscribers, no links" : "a lone message, 10 links";
  const [each, alarm] = withoutAlarms(isRetained ? minus(costs[`${kind}, retained`], TRIM) : costs[kind]);
  const every = isRetained ? (links === 0 ? TRIM_INTERVAL : LINK_CHECK_INTERVAL) : 0;
  const objects = links + 1;
  const where = links === 0 ? "connected to it" : `connected to ${links} other channels`;
  const base = used(attendance(costs, subscribers, links));
  return {
    title: `messages on a channel with ${whole(subscribers)} subscribers ${where}${isRetained ? "" : NOT_RETAINED}`,
    use: (count) => {
      const alarms = every === 0 ? count : Math.min(count, DAY / every);
      const trims = isRetained ? Math.min(count, DAY / TRIM_INTERVAL) : 0;
      const { rows, requests, seconds } = used(plus(times(count, each), times(alarms, alarm), times(trims, TRIM)));
      return {
        // Each object writes its counters once a minute.
        rows: base.rows + rows + objects * Math.min(count, DAY / 60),
        requests: base.requests + requests,
        seconds: base.seconds + objects * Math.min(DAY, seconds / objects),
      };
    },
  };
}

/** The deletion of a message's text. */
const TRIM: Cost = { rows: { history: 1 }, requests: {}, seconds: 0 };

const NOT_RETAINED = ", with `HISTORY_SECONDS = 0`";

/** Splits a cost into the part without alarms, which keeps the time awake, and the alarms. */
function withoutAlarms(cost: Cost): [Cost, Cost] {
  const { rows, requests } = cost;
  const alarm = {
    rows: { alarm: rows.alarm ?? 0 },
    requests: { alarm: requests.alarm ?? 0 },
    seconds: 0,
  };
  return [minus(cost, alarm), alarm];
}

/** Channels whose subscribers are connected to them, with a number of retained messages per day each. */
export function channels(costs: Costs, subscribers: number, count: number): Service {
  const message = costs["a lone message to 10 subscribers, no links, retained"];
  const each = plus(attendance(costs, subscribers, 0), times(count, message));
  const traffic = count === 0 ? "no messages" : `${count} messages`;
  const crowd = subscribers === 1 ? "1 subscriber" : `${whole(subscribers)} subscribers`;
  return { title: `channels with ${crowd} and ${traffic}`, use: (count) => used(times(count, each)) };
}

/** The cost of each subscriber's connecting and leaving once, one after another. */
function attendance(costs: Costs, subscribers: number, links: number): Cost {
  const opened = plus(costs["connecting to an unused channel"], costs["leaving a channel as its last client"]);
  const joined = plus(costs["connecting to a channel in use"], costs["leaving a channel still in use"]);
  if (links === 0) return plus(opened, times(subscribers - 1, joined));
  const subscribed = plus(
    costs["an object's first subscription to another channel"],
    costs["an object's last unsubscribe"],
  );
  const added = plus(costs["another subscription of that object"], costs["unsubscribing while others stay subscribed"]);
  return plus(times(links, plus(opened, subscribed)), times(subscribers - links, plus(joined, added)));
}

function used(cost: Cost): Use {
  return { rows: written(cost), requests: requested(cost), seconds: cost.seconds };
}

/** Returns the used share of each limit. */
function shares(use: Use, limits: Use): number[] {
  return [use.rows / limits.rows, use.requests / limits.requests, use.seconds / limits.seconds];
}

/** Returns the largest number that fits the limits. */
export function most({ use }: Service, limits: Use): number {
  const fits = (count: number) => shares(use(count), limits).every((share) => share <= 1);
  let [least, beyond] = [0, 1];
  while (fits(beyond)) beyond *= 2;
  while (beyond - least > 1) {
    const middle = Math.floor((least + beyond) / 2);
    if (fits(middle)) least = middle;
    else beyond = middle;
  }
  return least;
}

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
  return markdown([
    ["per day", "at most", "rows written", "requests", "time in memory"],
    ...services.map((service) => {
      const count = most(service, limits);
      return [service.title, rounded(count), ...shares(service.use(count), limits).map(percent)];
    }),
  ]);
}

/** Rounds down to three digits. */
function rounded(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return whole(Math.floor(count / unit) * unit);
}

if (import.meta.main) console.log(table(SERVICES, FREE));
