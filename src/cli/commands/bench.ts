/** `fanout bench`: many connections hear one channel, and count what comes, and when. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DONE, Exit, GAP, USAGE } from "../exits.ts";
import { Latencies } from "../latencies.ts";
import { announceAll, LEAST_SIZE, type Load, type Progress, readMark } from "../load.ts";
import { print } from "../output.ts";
import { Receipt } from "../receipt.ts";
import { formatReport, isFlawless, type Report } from "../report.ts";
import { refusable, type Server, type ServerOptions, serverAt } from "../server.ts";

export interface BenchOptions extends ServerOptions, Load {
  connections: number;
  channel?: string;
  json?: boolean;
}

/** Connections that are opened at a time. */
const OPENING = 100;

/** All that is counted. */
interface Counts extends Progress {
  /** One for each connection that listens. */
  receipts: Receipt[];
  latencies: Latencies;
  delivered: number;
  /** Deliveries of what that connection had not got before. */
  heard: number;
  /** When something last came, or was answered, in milliseconds. */
  lastAt: number;
  closed: number;
}

/** @returns the exit code */
export async function bench(url: string, options: BenchOptions): Promise<number> {
  const { connections, channel = `bench-${randomUUID()}`, size, timeout } = options;
  if (size < LEAST_SIZE) throw new Exit(USAGE, `a message takes ${LEAST_SIZE} bytes or more here`);
  const counts = newCounts();
  const serverOf = () => serverAt(url, options, () => counts.closed++);
  const opening = performance.now();
  const announcer = serverOf();
  await announcer.inTime(announcer.fanout.ping());
  await openAll(connections, () => listen(serverOf(), channel, counts));
  const began = performance.now();
  const announce = (text: string) => announcer.fanout.announce(channel, text);
  await refusable(announceAll(options, announce, counts));
  await refusable(untilQuiet(counts, timeout));
  const report = reportOf(options, counts, { opening: began - opening, hearing: counts.lastAt - began });
  await print(options.json ? JSON.stringify(report) : formatReport(report));
  return isFlawless(report) ? DONE : GAP;
}

function newCounts(): Counts {
  const progress = { sent: 0, announced: 0, failed: [] };
  const latencies = new Latencies();
  return { ...progress, receipts: [], latencies, delivered: 0, heard: 0, lastAt: 0, closed: 0 };
}

async function openAll(connections: number, open: () => Promise<void>): Promise<void> {
  for (let opened = 0; opened < connections; opened += OPENING) {
    await Promise.all(Array.from({ length: Math.min(OPENING, connections - opened) }, open));
  }
}

/** Ends when a connection hears the channel. */
async function listen({ fanout, inTime }: Server, channel: string, counts: Counts): Promise<void> {
  const receipt = new Receipt();
  counts.receipts.push(receipt);
  const live = new Promise<void>((resolve) => {
    fanout.subscribe(channel, {
      onMessage: ({ text }) => hear(text, receipt, counts),
      onState: (state) => state === "subscribed" && resolve(),
    });
  });
  // That it is refused is told to who pings.
  await inTime(Promise.all([fanout.ping(), live]));
}

function hear(text: string, receipt: Receipt, counts: Counts): void {
  const mark = readMark(text);
  if (!mark) return;
  counts.lastAt = performance.now();
  counts.latencies.add(counts.lastAt - mark.sentAt);
  counts.delivered += 1;
  if (receipt.hear(mark.number)) counts.heard += 1;
}

/** Ends when everything has been answered and has come, or nothing more has for so many seconds. */
async function untilQuiet(counts: Counts, seconds: number): Promise<void> {
  const isComplete = () =>
    counts.announced === counts.sent && counts.heard === counts.sent * counts.receipts.length;
  let before = 0;
  let since = performance.now();
  while (!isComplete() && performance.now() < since + seconds * 1_000) {
    await sleep(10);
    if (counts.failed.length > 0) throw counts.failed[0];
    const now = counts.announced + counts.delivered;
    if (now > before) since = performance.now();
    before = now;
  }
}

/** @param took in milliseconds: until all connections were open, and from then until the last message had come */
function reportOf(
  { rate, seconds }: Load,
  counts: Counts,
  { opening, hearing }: { opening: number; hearing: number },
): Report {
  const { receipts, latencies, announced, delivered, closed } = counts;
  const sum = (of: (receipt: Receipt) => number) => receipts.reduce((all, receipt) => all + of(receipt), 0);
  return {
    connections: receipts.length,
    openedInSeconds: rounded(opening / 1_000),
    due: rate * seconds,
    announced,
    delivered,
    deliveriesPerSecond: delivered === 0 ? 0 : Math.round((delivered / hearing) * 1_000),
    latency: {
      median: rounded(latencies.within(0.5)),
      percentile95: rounded(latencies.within(0.95)),
      percentile99: rounded(latencies.within(0.99)),
      largest: rounded(latencies.largest),
    },
    lost: sum((receipt) => receipt.lost(announced)),
    repeated: sum(({ repeated }) => repeated),
    outOfOrder: sum(({ outOfOrder }) => outOfOrder),
    closed,
  };
}

/** To a thousandth: more digits would tell nothing. */
function rounded(number: number): number {
  return Math.round(number * 1_000) / 1_000;
}
