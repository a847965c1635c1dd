/** `fanout bench`: measures delivery to many connections that subscribe to one channel. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DONE, Exit, GAP, USAGE } from "../exits.ts";
import { Latencies } from "../latencies.ts";
import { announceAll, type Load, MIN_SIZE, type Progress, readMark } from "../load.ts";
import { print } from "../output.ts";
import { Receipt } from "../receipt.ts";
import { formatReport, isFlawless, type Report } from "../report.ts";
import { type Server, type ServerOptions, serverAt } from "../server.ts";

export interface BenchOptions extends ServerOptions, Load {
  connections: number;
  channel?: string;
  json?: boolean;
}

/** Connections that are opened at once. */
const CONNECT_BATCH = 100;

/** The running counts of a benchmark. */
interface Counts extends Progress {
  /** One for each subscriber. */
  receipts: Receipt[];
  latencies: Latencies;
  delivered: number;
  /** Deliveries without the repeated ones. */
  distinct: number;
  /** When the last message was delivered, in milliseconds. */
  lastAt: number;
  closed: number;
}

/** @returns the exit code */
export async function bench(url: string, options: BenchOptions): Promise<number> {
  const { connections, channel = `bench-${randomUUID()}`, size, timeout } = options;
  if (size < MIN_SIZE) throw new Exit(USAGE, `--size is too small; it takes ${MIN_SIZE} bytes or more`);
  const progress = { sent: 0, announced: 0, failed: [] };
  const latencies = new Latencies();
  const counts = { ...progress, receipts: [], latencies, delivered: 0, distinct: 0, lastAt: 0, closed: 0 };
  const serverOf = () => serverAt(url, options, () => counts.closed++);
  const opening = performance.now();
  const announcer = serverOf();
  await announcer.inTime(announcer.fanout.ping());
  for (let opened = 0; opened < connections; opened += CONNECT_BATCH) {
    const open = () => subscribe(serverOf(), channel, counts);
    await Promise.all(Array.from({ length: Math.min(CONNECT_BATCH, connections - opened) }, open));
  }
  const began = performance.now();
  const announce = (text: string) => announcer.fanout.announce(channel, text);
  await announceAll(options, announce, counts);
  await untilQuiet(counts, timeout);
  const report = reportOf(options, counts, began - opening, counts.lastAt - began);
  await print(options.json ? JSON.stringify(report) : formatReport(report));
  return isFlawless(report) ? DONE : GAP;
}

/** Connects a subscriber; resolves when it is subscribed. */
async function subscribe({ fanout, inTime }: Server, channel: string, counts: Counts): Promise<void> {
  const receipt = new Receipt();
  counts.receipts.push(receipt);
  const live = new Promise<void>((resolve) => {
    fanout.subscribe(channel, {
      onMessage: ({ text }) => onMessage(text, receipt, counts),
      onState: (state) => state === "subscribed" && resolve(),
    });
  });
  // A refused connection rejects the ping.
  await inTime(Promise.all([fanout.ping(), live]));
}

function onMessage(text: string, receipt: Receipt, counts: Counts): void {
  const mark = readMark(text);
  if (!mark) return;
  counts.lastAt = performance.now();
  counts.latencies.add(counts.lastAt - mark.sentAt);
  counts.delivered += 1;
  if (receipt.add(mark.number)) counts.distinct += 1;
}

/** Resolves when all messages are acknowledged and delivered, or after some seconds without progress. */
async function untilQuiet(counts: Counts, seconds: number): Promise<void> {
  const isComplete = () => counts.announced === counts.sent && counts.distinct === counts.sent * counts.receipts.length;
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

/**
 * @param opening milliseconds until all connections were open
 * @param delivery milliseconds from then until the last delivery
 */
function reportOf({ rate, seconds }: Load, counts: Counts, opening: number, delivery: number): Report {
  const { receipts, latencies, announced, delivered, closed } = counts;
  const sum = (of: (receipt: Receipt) => number) => receipts.reduce((all, receipt) => all + of(receipt), 0);
  return {
    connections: receipts.length,
    openedInSeconds: rounded(opening / 1_000),
    due: rate * seconds,
    announced,
    delivered,
    deliveriesPerSecond: delivered === 0 ? 0 : Math.round((delivered / delivery) * 1_000),
    latency: {
      median: rounded(latencies.quantile(0.5)),
      percentile95: rounded(latencies.quantile(0.95)),
      percentile99: rounded(latencies.quantile(0.99)),
      largest: rounded(latencies.largest),
    },
    lost: sum((receipt) => receipt.lost(announced)),
    repeated: sum(({ repeated }) => repeated),
    outOfOrder: sum(({ outOfOrder }) => outOfOrder),
    closed,
  };
}

/** Rounds to three digits, because more would be noise. */
function rounded(number: number): number {
  return Math.round(number * 1_000) / 1_000;
}
