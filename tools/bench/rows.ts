/** The measurements. */
import { readFileSync } from "node:fs";
import type { Contender } from "./contest.ts";
import type { Seat, Seating } from "./crowd.ts";
import type { Load } from "./run.ts";
import type { Server, Servers } from "./servers.ts";

export interface Row {
  number: number;
  title: string;
  contenders: Contender[];
  /** Whether the contenders' connections are too many to be open at once. */
  apart?: boolean;
  /** Whether messages are sent one at a time, so that the last delivery of each is known. */
  single?: boolean;
}

/** Open files per channel of ten: two of the runtime's per connection, and some for storage. */
const FILES_PER_CHANNEL = 25;

export function rowsFor({ ours, trees, loop, nats }: Servers, quick: boolean): Row[] {
  const all = [ours, loop, nats].filter((server) => server !== undefined);
  const native = nats ? [nats] : [];
  const channels = quick ? 100 : Math.min(1000, Math.floor(openFiles() / FILES_PER_CHANNEL));
  const thousand = subscribers(1000);
  return [
    { number: 1, title: "100 subscribers, 64 in flight", contenders: each(all, subscribers(100), 64) },
    { number: 2, title: "1,000 subscribers, 16 in flight", contenders: each(all, thousand, 16) },
    { number: 3, title: "1,000 subscribers, 256 in flight", contenders: each(all, thousand, 256) },
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
        contender("ours", ours, thousand, { window: 256, publishers: 100 }),
        contender("ours, 1 publ.", ours, thousand, { window: 256, publishers: 1 }),
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
        return contender(server.name, server, hub(200), { window: 1, publishers: 1, quiet: 10 });
      }),
    },
    {
      number: 10,
      title: "1,000 subscribers in 1, 4 and 16 objects of one channel, 256 in flight",
      contenders: each([ours, ...trees], thousand, 256),
    },
  ];
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
