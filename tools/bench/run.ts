/** One measurement: a crowd under load for a while. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Crowd } from "./crowd.ts";
import { Meter } from "./flow.ts";
import type { Server } from "./peers/peer.ts";

/** Milliseconds under load before measuring starts; more if channels are slow to get going. */
const LEAD_IN = 200;
/** Interval between checks, in milliseconds: polling costs the generator less than a callback per message. */
const LOOK_AGAIN = 20;
/** Milliseconds after which missing messages count as lost. */
const LOST_AFTER = 60_000;
/** The unit of the kernel's process times, in milliseconds. */
const TICK = 10;

export interface Load {
  /** Messages in flight on each channel. */
  window: number;
  /** Publishers per channel. */
  publishers: number;
  /** If set, the last channel gets one message per this many milliseconds instead, and is the one measured. */
  interval?: number;
}

export interface Run {
  /** Messages received per second, over all subscribers. */
  rate: number;
  latencies: number[];
  rounds: number[];
  /** CPU use of the server and of the load generator, in cores. */
  serverCpu: number;
  generatorCpu: number;
}

/**
 * Sends for some time, and waits until everything has arrived. Measures all of it but the beginning, because among many
 * channels that take turns, one may be silent for longer than the given time.
 */
export async function run(server: Server, crowd: Crowd, load: Load, milliseconds: number): Promise<Run> {
  const { flows, subscribers } = crowd;
  const steady = load.interval === undefined ? undefined : flows.at(-1);
  const busy = flows.filter((flow) => flow !== steady);
  const meter = new Meter();
  for (const flow of busy) flow.begin(load.publishers, steady ? new Meter() : meter);
  steady?.begin(1, meter);
  for (const subscriber of subscribers) subscriber.begin();

  const timeout = setTimeout(lost, milliseconds + LOST_AFTER);
  for (const flow of busy) flow.keepInFlight(load.window);
  const stop = steady?.sendSteadily(load.interval ?? 0);
  await sleep(LEAD_IN);
  meter.from = performance.now();
  while (flows.some(({ deliveries, subscribers }) => deliveries < subscribers)) await sleep(LOOK_AGAIN);
  const before = snapshot(server, crowd);
  await sleep(milliseconds);
  stop?.();
  await Promise.all(flows.map((flow) => flow.end()));
  const after = snapshot(server, crowd);
  clearTimeout(timeout);
  for (const subscriber of subscribers) subscriber.check();

  const time = after.time - before.time;
  return {
    rate: ((after.deliveries - before.deliveries) / time) * 1000,
    latencies: meter.latencies,
    rounds: meter.rounds,
    serverCpu: (after.server - before.server) / time,
    generatorCpu: (after.generator - before.generator) / time,
  };
}

function lost(): never {
  throw new Error("some messages were lost");
}

function snapshot(server: Server, { flows }: Crowd) {
  const stat = readFileSync(`/proc/${server.pid}/stat`, "utf8");
  // Fields 14 and 15; the second field may contain spaces, and ends with the only ")".
  const [user, system] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12);
  const generator = process.cpuUsage();
  return {
    time: performance.now(),
    deliveries: flows.reduce((sum, flow) => sum + flow.deliveries, 0),
    server: (Number(user) + Number(system)) * TICK,
    generator: (generator.user + generator.system) / 1000,
  };
}
