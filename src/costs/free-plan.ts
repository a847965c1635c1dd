/** Computes the daily usage of the server, and its shares of the Workers free plan. */
import { type Cost, minus, plus, requested, times, written } from "./cost.ts";
import type { Costs } from "./measured.ts";

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

/** A day of a product whose users are all connected to one channel. */
export interface Day {
  /** People who connect, each once, and leave; at least 1. */
  people: number;
  /** Messages that they announce. */
  messages: number;
  /** Messages that a backend announces by POST. */
  updates: number;
}

/** Returns what a day costs, with all messages retained and evenly spread. */
export function usedIn(costs: Costs, { people, messages: announced, updates }: Day): Use {
  const kind = "a lone message to 10 subscribers, no links, retained";
  // A POST is a request; a message on a connection is a part of one.
  const more = used(minus(costs["a lone message by POST, retained"], costs[kind]));
  const all = messages(costs, people, 0).use(announced + updates);
  return {
    rows: all.rows + updates * more.rows,
    requests: all.requests + updates * more.requests,
    seconds: all.seconds,
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
export function shares(use: Use, limits: Use): number[] {
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

export function percent(share: number): string {
  if (share > 0 && share < 0.005) return "< 1 %";
  return `${whole(Math.round(share * 100))} %`;
}

export function whole(value: number): string {
  return value.toLocaleString("en-US");
}
