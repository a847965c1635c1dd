/**
 * What the Workers free plan carries in a day: `node tools/bench/free-plan.ts` prints the table of `README.md` here from
 * the inputs below.
 */
import { type Cost, minus, plus, requested, times, written } from "./cost.ts";
import type { Costs } from "./events.ts";

/** What each kind of event costs, by `costs.ts`. */
export const COSTS: Costs = {
  "connecting to a channel that nobody uses": {
    rows: { counted: 1, downstream: 1, upstream: 1 },
    requests: { link: 1, upgrade: 1 },
    seconds: 2,
  },
  "connecting to a channel in use": { rows: {}, requests: { upgrade: 1 }, seconds: 1 },
  "leaving it to others": { rows: {}, requests: {}, seconds: 1 },
  "leaving it, as the last one": {
    rows: { counted: 1, downstream: 1, everything: 1, service: 1, upstream: 1 },
    requests: { unlink: 1 },
    seconds: 2,
  },
  "subscribing to another channel, as the first of an object": {
    rows: { downstream: 1, order: 1, upstream: 1 },
    requests: { link: 1, message: 1 },
    seconds: 2,
  },
  "subscribing, as one more of that object": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "unsubscribing, as one of several": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "unsubscribing, as the last one": {
    rows: { downstream: 1, everything: 1, order: 1, upstream: 1 },
    requests: { message: 1, unlink: 1 },
    seconds: 2,
  },
  "`info`, with 10 objects in use": {
    rows: {},
    requests: { figures: 10, message: 1, serviceFigures: 1 },
    seconds: 2,
  },
  "a lone message to 10 listeners, no links": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "the same from another object": { rows: {}, requests: { forward: 1, message: 1 }, seconds: 2 },
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
  "one more message at once, 10 links": { rows: {}, requests: { deliver: 10, message: 1 }, seconds: 1.2 },
  "one each two seconds for a minute, 10 links": {
    rows: { alarm: 30, counted: 11, order: 30 },
    requests: { alarm: 6, deliver: 300, message: 30 },
    seconds: 331,
  },
  "a lone message to 10 listeners, no links, kept": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, message: 1 },
    seconds: 2,
  },
  "the same from another object, kept": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, forward: 1, message: 1 },
    seconds: 3,
  },
  "a lone message, 1 link, kept": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 1, message: 1 },
    seconds: 3,
  },
  "a lone message, 10 links, kept": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 10, message: 1 },
    seconds: 12,
  },
  "one more message at once, 10 links, kept": {
    rows: { history: 1 },
    requests: { deliver: 10, message: 1 },
    seconds: 1.2,
  },
  "one each two seconds for a minute, 10 links, kept": {
    rows: { alarm: 9, counted: 11, history: 35, order: 30 },
    requests: { alarm: 9, deliver: 300, message: 30 },
    seconds: 333,
  },
};

/** What is used in a day, or may be. */
export interface Use {
  rows: number;
  requests: number;
  seconds: number;
}

/**
 * https://developers.cloudflare.com/durable-objects/platform/pricing/: rows written, requests to objects, and
 * GB-seconds, of which an object that is awake takes 128 MB.
 */
export const FREE: Use = { rows: 100_000, requests: 100_000, seconds: 13_000 / 0.128 };

/** A thing of which there may be more or fewer a day. */
export interface Service {
  title: string;
  /** What so many of it use. */
  use(count: number): Use;
}

const DAY = 24 * 3600;

/**
 * Seconds after which the rows of messages are looked at, if nothing is set: the alarm for that is not set more often,
 * and the text of the newest message leaves storage then if it is over.
 */
const LOOKED_AT = 2.125 * 120;
/** Seconds after which an object with links looks again whether they have what it has stored. */
const LOOKS_AGAIN = 10;

/**
 * Messages a day on one channel, evenly spread: each comes when the objects have settled, as far as there is time
 * for that; an object is awake for no more than the day.
 * @param links other objects to which the listeners are connected; 0 if all are connected to the channel itself
 * @param isKept whether history is kept
 */
export function messages(costs: Costs, listeners: number, links: 0 | 10, isKept = true): Service {
  const kind = links === 0 ? "a lone message to 10 listeners, no links" : "a lone message, 10 links";
  const [each, alarm] = withoutAlarms(isKept ? minus(costs[`${kind}, kept`], DROPPED) : costs[kind]);
  const every = isKept ? (links === 0 ? LOOKED_AT : LOOKS_AGAIN) : 0;
  const objects = links + 1;
  const where = links === 0 ? "connected to it" : `connected to ${links} other channels`;
  const base = used(attendance(costs, listeners, links));
  return {
    title: `messages on a channel with ${whole(listeners)} subscribers ${where}${isKept ? "" : FORGETFUL}`,
    use: (count) => {
      const alarms = every === 0 ? count : Math.min(count, DAY / every);
      const dropped = isKept ? Math.min(count, DAY / LOOKED_AT) : 0;
      const { rows, requests, seconds } = used(
        plus(times(count, each), times(alarms, alarm), times(dropped, DROPPED)),
      );
      return {
        // Figures are written once a minute by each object.
        rows: base.rows + rows + objects * Math.min(count, DAY / 60),
        requests: base.requests + requests,
        seconds: base.seconds + objects * Math.min(DAY, seconds / objects),
      };
    },
  };
}

/** That the text of a message leaves storage. */
const DROPPED: Cost = { rows: { history: 1 }, requests: {}, seconds: 0 };

const FORGETFUL = ", with `HISTORY_SECONDS = 0`";

/** What something costs without alarms, and these; the time for which an object is awake for them stays with it. */
function withoutAlarms(cost: Cost): [Cost, Cost] {
  const { rows, requests } = cost;
  const alarm = {
    rows: { alarm: rows.alarm ?? 0 },
    requests: { alarm: requests.alarm ?? 0 },
    seconds: 0,
  };
  return [minus(cost, alarm), alarm];
}

/** Channels whose listeners are connected there, with some messages a day each, which are kept. */
export function channels(costs: Costs, listeners: number, said: number): Service {
  const message = costs["a lone message to 10 listeners, no links, kept"];
  const each = plus(attendance(costs, listeners, 0), times(said, message));
  const talk = said === 0 ? "no messages" : `${said} messages`;
  const crowd = listeners === 1 ? "1 subscriber" : `${whole(listeners)} subscribers`;
  return { title: `channels with ${crowd} and ${talk}`, use: (count) => used(times(count, each)) };
}

/** That each listener of a channel comes and goes once, one after another. */
function attendance(costs: Costs, listeners: number, links: number): Cost {
  const opened = plus(
    costs["connecting to a channel that nobody uses"],
    costs["leaving it, as the last one"],
  );
  const joined = plus(costs["connecting to a channel in use"], costs["leaving it to others"]);
  if (links === 0) return plus(opened, times(listeners - 1, joined));
  const subscribed = plus(
    costs["subscribing to another channel, as the first of an object"],
    costs["unsubscribing, as the last one"],
  );
  const added = plus(
    costs["subscribing, as one more of that object"],
    costs["unsubscribing, as one of several"],
  );
  return plus(times(links, plus(opened, subscribed)), times(listeners - links, plus(joined, added)));
}

function used(cost: Cost): Use {
  return { rows: written(cost), requests: requested(cost), seconds: cost.seconds };
}

/** The share of what there may be that is used. */
function shares(use: Use, limits: Use): number[] {
  return [use.rows / limits.rows, use.requests / limits.requests, use.seconds / limits.seconds];
}

/** How many of a thing there may be: one more would be too many. */
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
  ...[10, 1_000].map((listeners) => messages(COSTS, listeners, 0)),
  ...[10, 1_000].map((listeners) => messages(COSTS, listeners, 10)),
  messages(COSTS, 1_000, 0, false),
  messages(COSTS, 1_000, 10, false),
  ...[10, 100].map((listeners) => channels(COSTS, listeners, 10)),
  channels(COSTS, 1, 0),
];

/** The table of how many of each there may be, if there is nothing else, in Markdown. */
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

/** No more than that, in three digits. */
function rounded(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return whole(Math.floor(count / unit) * unit);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function whole(value: number): string {
  return value.toLocaleString("en-US");
}

if (import.meta.main) console.log(table(SERVICES, FREE));
