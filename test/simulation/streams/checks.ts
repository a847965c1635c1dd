/** Checks of streams and polls while objects work and clients read, and at the end. */

import { check, Violation } from "../violation.ts";
import { EventsJudge } from "./events-judge.ts";
import { LinesJudge } from "./lines-judge.ts";
import type { Judge, Reader } from "./reader.ts";
import type { Simulation } from "./simulation.ts";

/**
 * Seconds within which a stream has caught up or has ended, under any load: two minutes until an object counts as
 * stuck, and the longest delay before a subscription is retried.
 */
const BUSY = 200;
/** Seconds within which streams notice earlier events. */
const SETTLED = 40;
/** Seconds during which only one channel is busy, and then none. */
const QUIET = 70;
/** Seconds after which a stalled reader is dropped. */
const STALLED = 130;

/** Most actions of objects and readers at one time: about a hundred times as many as any run needs. */
const MOST_ACTIONS = 100_000;

/** Longest silence of a stream in milliseconds; some networks cut connections that are silent for longer. */
const SILENT = 32_000;

/** Lets objects work and clients read, for some seconds or until a condition holds. */
async function work(
  simulation: Simulation,
  seconds: number,
  eachSecond: () => void,
  isDone = () => false,
): Promise<void> {
  const start = simulation.time.now();
  for (let second = 0; second < seconds && !isDone(); second++) {
    eachSecond();
    await rest(simulation);
    const now = simulation.time.now();
    for (const { name, waitingSince = now } of simulation.readers) {
      check(now - Math.max(start, waitingSince) < SILENT, () => `${name} is silent`);
    }
    simulation.time.pass(1_000);
    for (let next = simulation.time.next; next; next = simulation.time.next) {
      if (next.at > simulation.time.now()) break;
      next.fire();
      await rest(simulation);
    }
  }
}

/** Runs everything that needs no time. */
async function rest(simulation: Simulation): Promise<void> {
  for (let actions = 0; actions < MOST_ACTIONS; actions++) {
    await simulation.settle();
    const [action] = [...simulation.objectActions(), ...simulation.reading()];
    if (!action) return;
    action.happen();
  }
  throw new Violation("the streams never come to rest");
}

/**
 * Checks that every stream catches up or ends: while all channels are busy and then while they are silent, or while they
 * are silent all the time.
 */
export async function checkCaughtUp(simulation: Simulation): Promise<void> {
  const { readers, pollers, used, profile } = simulation;
  const busy = profile.endsInSilence ? [] : used;
  const announce = () => {
    for (const channel of busy) simulation.announce(channel);
  };
  await work(simulation, SETTLED, announce);
  await work(simulation, BUSY, announce, () => readers.every((reader) => missingOf(reader) === undefined));
  for (const reader of readers) check(!missingOf(reader), () => `${reader.name} ${missingOf(reader)}`);
  const alive = readers.filter(
    ({ over, hasVanished, object }) => !over && !hasVanished && !object.hasIgnoredPing && !object.hasSentInvalid,
  );
  // Streams without `all` show nothing of this, so they need heartbeats.
  if (!profile.endsInSilence) await work(simulation, QUIET, () => simulation.announce("all"));
  await work(simulation, QUIET, () => {});
  for (const { name, over } of pollers) check(over !== undefined, () => `${name} hangs`);
  for (const { name, over } of alive) check(over === undefined, () => `${name} is ${over} without a cause`);
  announce();
  await rest(simulation);
  for (const reader of readers) checkReading(simulation, reader);
}

/** Returns what a stream still lacks; undefined if it has caught up. */
function missingOf({ over, hasVanished, object, judge }: Reader): string | undefined {
  if (over || hasVanished || object.hasSentInvalid) return undefined;
  if (object.hasVanished) return "hasn't noticed that its object is gone";
  const channels = judge instanceof EventsJudge ? judge.channels : [];
  const missing = channels.find((channel) => !isSettled(judge, channel));
  return missing === undefined ? undefined : `never gets ${missing}`;
}

/** Whether a channel is live in a stream, or was refused. */
function isSettled(judge: Judge, channel: string): boolean {
  return !(judge instanceof EventsJudge) || judge.live.has(channel) || judge.refused.has(channel);
}

/** Checks that a stream has the newest message of each channel. */
function checkReading({ truth }: Simulation, { name, over, hasVanished, object, judge }: Reader): void {
  if (over || hasVanished || object.hasSentInvalid) return;
  if (judge instanceof LinesJudge) {
    check(judge.length === object.sent.length, () => `${name} misses what was sent last`);
  }
  if (!(judge instanceof EventsJudge)) return;
  for (const channel of judge.live) {
    const at = judge.newest(channel);
    check(at === truth.newest(channel), () => `${name} is at ${at} of ${channel}, not ${truth.newest(channel)}`);
  }
}

/** Checks that no connection, timer or text is left when clients have disconnected or stalled. */
export async function checkNothingLeft(simulation: Simulation): Promise<void> {
  for (const reader of simulation.readers) if (!reader.hasVanished) reader.leave();
  const areAllGone = simulation.readers.every(({ hasVanished }) => !hasVanished);
  check(!areAllGone || simulation.time.timers === 0, () => "a timer outlives its stream");
  await work(simulation, STALLED, () => {});
  for (const { name, object } of [...simulation.readers, ...simulation.pollers]) {
    check(object.isClosedByWorker, () => `the connection of ${name} is left open`);
  }
  check(simulation.time.timers === 0, () => `${simulation.time.timers} timers are left`);
  check(simulation.budget.size === 0, () => `${simulation.budget.size} characters are left`);
}
