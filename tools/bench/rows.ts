/** The measurements. */
import { readFileSync } from "node:fs";
import type { Contender } from "./contest.ts";
import type { Seat, Seating } from "./crowd.ts";
import type { Server } from "./peers/peer.ts";
import type { Load } from "./run.ts";
import type { Servers } from "./servers.ts";

export interface Row {
  number: number;
  title: string;
  contenders: Contender[];
  /** Whether the contenders' connections are too many to be open at once. */
  apart?: boolean;
  /** Whether messages are sent one at a time, so that the last delivery of each is known. */
  single?: boolean;
  /** Milliseconds of each run; as long as the others by default. */
  milliseconds?: number;
  /** Where its results are in the plot. */
  panel?: Panel;
}

/** What the plot shows of a row, below the panel's title. */
export interface Panel {
  shows: "rates" | "latencies";
  title: string;
}

/** Messages per second and seconds, for the latencies. */
const STEADY = [
  { rate: 10, seconds: 5 },
  { rate: 100, seconds: 2 },
  { rate: 1_000, seconds: 2 },
];

/** Open files per channel of ten: two of the runtime's per connection, and some for storage. */
const FILES_PER_CHANNEL = 25;

export function rowsFor({ ours, unstored, trees, loop, peers }: Servers, quick: boolean): Row[] {
  const all = [ours, loop, ...peers];
  // Connections to the others subscribe to one channel each.
  const native = peers.filter(({ name }) => name === "nats");
  const channels = quick ? 100 : Math.min(1000, Math.floor(openFiles() / FILES_PER_CHANNEL));
  const thousand = subscribers(1000);
  return [
    burst(1, all, 100, 64),
    burst(2, all, 1_000, 16),
    burst(3, all, 1_000, 256),
    {
      number: 4,
      title: "1,000 subscribers, one at a time",
      contenders: each(all, thousand, 1),
      single: true,
    },
    {
      number: 5,
      title: "10 subscribers, one at a time",
      contenders: each(all, subscribers(10), 1),
      single: true,
    },
    {
      number: 6,
      title: "1,000 subscribers connected to 8 other channels, 256 in flight",
      contenders: [
        contender("8 homes", ours, spread(1000, 8), { window: 256, publishers: 1 }),
        contender("1 home", ours, thousand, { window: 256, publishers: 1 }),
      ],
    },
    {
      number: 7,
      title: "100 publishers, 1,000 subscribers, 256 in flight together",
      contenders: [
        contender("Fanout", ours, thousand, { window: 256, publishers: 100 }),
        contender("Fanout, 1 publisher", ours, thousand, { window: 256, publishers: 1 }),
        ...native.map((server) => contender("nats", server, thousand, { window: 256, publishers: 100 })),
      ],
    },
    {
      number: 8,
      title: `${channels} channels of 10 subscribers, 16 in flight on each`,
      contenders: each([ours, loop], subscribers(10, channels), 16),
      apart: true,
    },
    {
      number: 9,
      title: "1 connection subscribed to 200 channels, 199 of them busy: latency of the quiet one",
      contenders: [ours, ...native].map((server) => {
        return contender(server.name, server, hub(200), { window: 1, publishers: 1, interval: 10 });
      }),
    },
    {
      number: 10,
      title: "1,000 subscribers in 1, 4 and 16 objects of one channel, 256 in flight",
      contenders: each([ours, ...trees], thousand, 256),
    },
    ...STEADY.map(({ rate, seconds }, index): Row => {
      const load = { window: 0, publishers: 1, interval: 1_000 / rate };
      return {
        number: 11 + index,
        title: `100 subscribers, a steady ${rate.toLocaleString("en-US")} messages per second`,
        contenders: [ours, unstored, loop, ...peers].map((server) =>
          contender(server.name, server, subscribers(100), load),
        ),
        milliseconds: seconds * (quick ? 200 : 1_000),
        panel: { shows: "latencies", title: `${rate.toLocaleString("en-US")} messages/s` },
      };
    }),
  ];
}

/** A row in which messages are always in flight. */
function burst(number: number, servers: Server[], size: number, window: number): Row {
  const title = `${size.toLocaleString("en-US")} subscribers, ${window} in flight`;
  return {
    number,
    title,
    contenders: each(servers, subscribers(size), window),
    panel: { shows: "rates", title },
  };
}

/** The same for several servers, with one publisher on each channel. */
export function each(servers: Server[], seating: Seating, window: number): Contender[] {
  return servers.map((server) => contender(server.name, server, seating, { window, publishers: 1 }));
}

function contender(name: string, server: Server, seating: Seating, load: Load): Contender {
  return { name, server, seating, load };
}

/** Channels with their own subscribers, which are connected to their channel and can announce. */
export function subscribers(count: number, channels = 1): Seating {
  const seats = Array.from({ length: count * channels }, (_, index): Seat => {
    const channel = Math.floor(index / count);
    return { subscribesTo: [channel], announcesOn: channel };
  });
  return { name: `${count}x${channels}`, channels, seats };
}

/** One channel, with its publisher connected to it and its other subscribers elsewhere. */
function spread(count: number, homes: number): Seating {
  const others = Array.from({ length: count - 1 }, (_, index): Seat => {
    return { home: `home${index % homes}`, subscribesTo: [0] };
  });
  return { name: "spread", channels: 1, seats: [{ subscribesTo: [0], announcesOn: 0 }, ...others] };
}

/** Many channels with a publisher each, which receives nothing, and one connection subscribed to all. */
function hub(channels: number): Seating {
  const indexes = Array.from({ length: channels }, (_, index) => index);
  const publishers = indexes.map((announcesOn): Seat => ({ subscribesTo: [], announcesOn }));
  return { name: "hub", channels, seats: [...publishers, { home: "hub", subscribesTo: indexes }] };
}

/** Returns the maximum number of open files of a process. */
function openFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}
