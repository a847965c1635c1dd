/** List prices, in dollars per month without taxes, and what they are for. */

/** What a service is charged for in a month. */
export interface Traffic {
  /** Clients that are connected at least once, and the most that are connected at the same time. */
  people: number;
  /** Minutes that clients are connected, and that channels are in use, over all of them. */
  connectionMinutes: number;
  channelMinutes: number;
  channels: number;
  /** Messages, of which each delivery is one more, in the month and on its busiest day. */
  messages: number;
  messagesADay: number;
}

/** What a deployment of this project uses in a month. */
export interface Usage {
  /** Requests to the Worker, and to objects. */
  workerRequests: number;
  requests: number;
  rows: number;
  /** Seconds that objects are in memory. */
  seconds: number;
}

const MILLION = 1e6;

/**
 * The Workers Paid plan: https://developers.cloudflare.com/durable-objects/platform/pricing/ and
 * https://developers.cloudflare.com/workers/platform/pricing/
 */
export const CLOUDFLARE = {
  plan: 5,
  workerRequests: { included: 10 * MILLION, perMillion: 0.3 },
  requests: { included: MILLION, perMillion: 0.15 },
  rows: { included: 50 * MILLION, perMillion: 1 },
  /** GB-seconds; an object takes 128 MB. */
  duration: { included: 400_000, perMillion: 12.5 },
};

/** GB of memory that an object is billed for. */
const MEMORY = 0.128;

/** Returns what Cloudflare charges for a usage that is alone on an account. */
export function cloudflare({ workerRequests, requests, rows, seconds }: Usage): number {
  const { plan, ...rates } = CLOUDFLARE;
  return (
    plan +
    beyond(workerRequests, rates.workerRequests) +
    beyond(requests, rates.requests) +
    beyond(rows, rates.rows) +
    beyond(seconds * MEMORY, rates.duration)
  );
}

function beyond(amount: number, { included, perMillion }: { included: number; perMillion: number }): number {
  return (Math.max(0, amount - included) / MILLION) * perMillion;
}

/** Prices per million that fall with the amount: up to which million each holds. */
type Scale = [upTo: number, perMillion: number][];

/**
 * https://ably.com/docs/platform/pricing/resource-based: messages, minutes, and packages by their connections. The
 * discounts are those of an earlier version of that page.
 */
const ABLY_MESSAGES: Scale = [
  [50, 2.5],
  [500, 2.25],
  [5_000, 1.95],
  [20_000, 1.65],
  [50_000, 1.4],
  [Number.POSITIVE_INFINITY, 1.25],
];
const ABLY_MINUTES: Scale = [
  [10, 1],
  [100, 0.95],
  [1_000, 0.85],
  [5_000, 0.75],
  [15_000, 0.65],
  [Number.POSITIVE_INFINITY, 0.6],
];
const ABLY_PACKAGES = [
  { most: 10_000, price: 29 },
  { most: 50_000, price: 399 },
];

/** Returns Ably's price; undefined if it is by agreement. */
export function ably({ people, channels, messages, connectionMinutes, channelMinutes }: Traffic): number | undefined {
  const found = ABLY_PACKAGES.find(({ most }) => Math.max(people, channels) <= most);
  if (!found) return undefined;
  const minutes = scaled(connectionMinutes, ABLY_MINUTES) + scaled(channelMinutes, ABLY_MINUTES);
  return found.price + scaled(messages, ABLY_MESSAGES) + minutes;
}

function scaled(amount: number, scale: Scale): number {
  let below = 0;
  let sum = 0;
  for (const [upTo, perMillion] of scale) {
    sum += Math.max(0, Math.min(amount / MILLION, upTo) - below) * perMillion;
    below = upTo;
  }
  return sum;
}

/** https://pusher.com/channels/pricing: by messages a day and connections. */
const PUSHER_PLANS = [
  { messages: 0.2 * MILLION, connections: 100, price: 0 },
  { messages: MILLION, connections: 500, price: 49 },
  { messages: 4 * MILLION, connections: 2_000, price: 99 },
  { messages: 10 * MILLION, connections: 5_000, price: 299 },
  { messages: 20 * MILLION, connections: 10_000, price: 499 },
  { messages: 40 * MILLION, connections: 15_000, price: 699 },
  { messages: 60 * MILLION, connections: 20_000, price: 899 },
  { messages: 90 * MILLION, connections: 30_000, price: 1_199 },
];

/** Returns the price of Pusher Channels; undefined if it is by agreement. */
export function pusher({ people, messagesADay }: Traffic): number | undefined {
  return PUSHER_PLANS.find(({ messages, connections }) => messagesADay <= messages && people <= connections)?.price;
}

/** https://www.pubnub.com/pricing/: by users in a month. */
const PUBNUB_PLANS = [
  { users: 200, price: 0 },
  { users: 1_000, price: 98 },
  { users: 5_000, price: 370 },
  { users: 10_000, price: 550 },
  { users: 25_000, price: 1_130 },
];

/** Returns PubNub's price; undefined if it is by agreement. */
export function pubnub({ people }: Traffic): number | undefined {
  return PUBNUB_PLANS.find(({ users }) => people <= users)?.price;
}
