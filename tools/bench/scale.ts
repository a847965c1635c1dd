/**
 * Estimates the cost of very large services. `node tools/bench/scale.ts` prints the table of `docs/architecture.md` from the
 * inputs below.
 */

/** Measured and billed costs. Rates are in dollars, times in seconds. */
export const RATES = {
  /** Time per additional socket of an object, from `steps.ts`. */
  send: 41e-6,
  /** Time per additional linked object, including its own share of the work, from `steps.ts`. */
  link: 406e-6,
  /** Time from one object to another on another continent; an assumption. */
  hop: 0.15,
  /** Per million requests to objects, https://developers.cloudflare.com/durable-objects/platform/pricing/ */
  requests: 0.15,
  /** Per million GB-seconds of active objects in memory, from the same page. */
  duration: 12.5,
  /** GB billed for an object in memory, from the same page. */
  memory: 0.128,
  /** Seconds an object stays in memory after an event, to write to storage (`branch.ts`). */
  settle: 1,
  /** Per million messages, published or delivered, from Ably's price list, https://ably.com/pricing */
  hosted: 2.5,
};

export interface Service {
  title: string;
  channels: number;
  /** Subscribers per channel. */
  subscribers: number;
  /** Announcements per second, on all channels together. */
  announcements: number;
  socketsPerObject: number;
  linksPerObject: number;
}

const SIZES = { socketsPerObject: 10_000, linksPerObject: 100 };

const SERVICES: Service[] = [
  { title: "1 channel, 1 million subscribers", channels: 1, subscribers: 1e6, announcements: 1, ...SIZES },
  { title: "1 channel, 10 million subscribers", channels: 1, subscribers: 1e7, announcements: 1, ...SIZES },
  { title: "1 million channels, 10 subscribers each", channels: 1e6, subscribers: 10, announcements: 1_000, ...SIZES },
];

const MONTH = 30 * 24 * 3600;

/** Computes what a service needs and costs. */
export function arithmetic(service: Service, rates: typeof RATES) {
  const { channels, subscribers, announcements, socketsPerObject, linksPerObject } = service;
  const objectsEach = Math.ceil(subscribers / socketsPerObject);
  const objects = objectsEach * channels;
  const calls = objectsEach - 1;
  const children = levels(objectsEach, linksPerObject);
  const billed = calls + 1 / 20;
  const sent = Math.min(subscribers, socketsPerObject) * rates.send;
  const last = sent + sum(children.map((each) => rates.hop + each * rates.link));
  const lastBySix = sent + sum(children.map((each) => Math.ceil(each / 6) * rates.hop + each * rates.link));
  // With an announcement at least every `settle` seconds, an object is always in memory.
  const busy = Math.min(1, (announcements / channels) * (rates.settle + last));
  const month =
    ((announcements * MONTH * billed) / 1e6) * rates.requests +
    ((objects * busy * MONTH * rates.memory) / 1e6) * rates.duration;
  const hosted = ((announcements * MONTH * (subscribers + 1)) / 1e6) * rates.hosted;
  const depthOfAll = objects > 1 ? Math.ceil(Math.log(objects) / Math.log(linksPerObject)) : 0;
  return {
    /** Objects that hold sockets. */
    objects,
    /** Levels below the root of a channel. */
    depth: children.length,
    /** Levels below the root of `all`, to which each of those objects is linked. */
    depthOfAll,
    /** Calls between objects per announcement. */
    calls,
    /** Billed requests per announcement; 20 messages from clients count as one. */
    billed,
    /** Seconds from the announcement until its last subscriber has it. */
    last,
    /** The same if each object makes only six calls at a time. */
    lastBySix,
    /** Dollars per 30 days. */
    month,
    /** Dollars per 30 days for the messages alone, where each delivery is billed. */
    hosted,
  };
}

/** Returns the number of children per object, level by level, if each object has at most `most`. */
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

/** Formats needs and costs as a Markdown table. */
export function table(): string {
  const columns = SERVICES.map((service) => ({ service, result: arithmetic(service, RATES) }));
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

if (import.meta.main) console.log(table());
