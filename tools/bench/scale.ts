/**
 * The arithmetic of very large services: `node tools/bench/scale.ts` prints the tables of
 * `docs/architecture.md` from the inputs below.
 */

/** What the steps cost and what is billed. Rates are in dollars, times in seconds. */
export interface Rates {
  /** Until one more socket of an object is served, by `steps.ts`. */
  send: number;
  /** Until one more linked object has what it needs, its own share of the work included, by `steps.ts`. */
  link: number;
  /** From one object to another on another continent; an assumption. */
  hop: number;
  /** A million requests to objects, https://developers.cloudflare.com/durable-objects/platform/pricing/ */
  requests: number;
  /** A million GB-seconds of objects in memory with something to do, as above. */
  duration: number;
  /** GB that an object in memory counts for, as above. */
  memory: number;
  /** Seconds an object stays for what it writes down after an event (`branch.ts`). */
  settle: number;
  /** A million messages, published or delivered, by Ably's list, https://ably.com/pricing */
  hosted: number;
}

export interface Service {
  title: string;
  channels: number;
  /** Listeners of each channel. */
  listeners: number;
  /** Announcements a second, on all channels together. */
  announcements: number;
  socketsPerObject: number;
  linksPerObject: number;
}

export interface Arithmetic {
  /** Objects that hold sockets. */
  objects: number;
  /** Levels below the root of a channel. */
  depth: number;
  /** Levels below the root of `all`, to which each of those objects is linked. */
  depthOfAll: number;
  /** Calls between objects for one announcement. */
  calls: number;
  /** Requests billed for one announcement: 20 messages from clients are one. */
  billed: number;
  /** Seconds from the announcement to its last listener. */
  last: number;
  /** The same if only six calls of an object are under way at one time. */
  lastBySix: number;
  /** Dollars for 30 days. */
  month: number;
  /** Dollars for the messages alone, where each delivery is billed. */
  hosted: number;
}

export const RATES: Rates = {
  send: 41e-6,
  link: 406e-6,
  hop: 0.15,
  requests: 0.15,
  duration: 12.5,
  memory: 0.128,
  settle: 1,
  hosted: 2.5,
};

const SIZES = { socketsPerObject: 10_000, linksPerObject: 100 };

export const SERVICES: Service[] = [
  { title: "1 channel, 1 million subscribers", channels: 1, listeners: 1e6, announcements: 1, ...SIZES },
  { title: "1 channel, 10 million subscribers", channels: 1, listeners: 1e7, announcements: 1, ...SIZES },
  {
    title: "1 million channels, 10 subscribers each",
    channels: 1e6,
    listeners: 10,
    announcements: 1_000,
    ...SIZES,
  },
];

const MONTH = 30 * 24 * 3600;

/** What a service takes and costs. */
export function arithmetic(service: Service, rates: Rates): Arithmetic {
  const { channels, listeners, announcements, socketsPerObject, linksPerObject } = service;
  const objectsEach = Math.ceil(listeners / socketsPerObject);
  const objects = objectsEach * channels;
  const calls = objectsEach - 1;
  const children = levels(objectsEach, linksPerObject);
  const billed = calls + 1 / 20;
  const sent = Math.min(listeners, socketsPerObject) * rates.send;
  const last = sent + sum(children.map((each) => rates.hop + each * rates.link));
  const lastBySix = sent + sum(children.map((each) => Math.ceil(each / 6) * rates.hop + each * rates.link));
  // An object is in memory all the time at one announcement or more each `settle` seconds.
  const busy = Math.min(1, (announcements / channels) * (rates.settle + last));
  const month =
    ((announcements * MONTH * billed) / 1e6) * rates.requests +
    ((objects * busy * MONTH * rates.memory) / 1e6) * rates.duration;
  const hosted = ((announcements * MONTH * (listeners + 1)) / 1e6) * rates.hosted;
  const depthOfAll = objects > 1 ? Math.ceil(Math.log(objects) / Math.log(linksPerObject)) : 0;
  return { objects, depth: children.length, depthOfAll, calls, billed, last, lastBySix, month, hosted };
}

/** How many children each object has, level by level, of so many objects that have `most` at most. */
function levels(objects: number, most: number): number[] {
  const children: number[] = [];
  let above = 1;
  for (let left = objects - 1; left > 0; left -= above) {
    children.push(Math.min(most, Math.ceil(left / above)));
    above = Math.min(left, above * most);
  }
  return children;
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}

/** The table of what services take and cost, in Markdown. */
export function table(services: Service[], rates: Rates): string {
  const columns = services.map((service) => ({ service, result: arithmetic(service, rates) }));
  const row = (title: string, cell: (column: (typeof columns)[number]) => string) =>
    `| ${[title, ...columns.map(cell)].join(" | ")} |`;
  return [
    row("", ({ service }) => service.title),
    row("---", () => "---"),
    row("announcements per second", ({ service }) => whole(service.announcements)),
    row("objects with sockets", ({ result }) => whole(result.objects)),
    row("levels below the channel's root", ({ result }) => whole(result.depth)),
    row("levels below the root of `all`", ({ result }) => whole(result.depthOfAll)),
    row("calls between objects, per announcement", ({ result }) => whole(result.calls)),
    row("requests billed, per announcement", ({ result }) => result.billed.toFixed(2)),
    row("latency to the last subscriber", ({ result }) => `${(result.last * 1000).toFixed(0)} ms`),
    row("with at most six calls at a time", ({ result }) => `${(result.lastBySix * 1000).toFixed(0)} ms`),
    row("cost of 30 days", ({ result }) => dollars(result.month)),
    row("cost of 30 days if each delivery is billed", ({ result }) => dollars(result.hosted)),
  ].join("\n");
}

function whole(value: number): string {
  return value.toLocaleString("en-US");
}

function dollars(value: number): string {
  return `$${Math.round(value).toLocaleString("en-US")}`;
}

if (import.meta.main) console.log(table(SERVICES, RATES));
