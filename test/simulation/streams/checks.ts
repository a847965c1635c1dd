/** What has to be true of streams and polls when objects work and clients read, and when all is over. */

import { hold } from "./breach.ts";
import { EventsJudge } from "./events-judge.ts";
import { LinesJudge } from "./lines-judge.ts";
import type { Judge, Reader } from "./reader.ts";
import type { Simulation } from "./simulation.ts";

/**
 * Seconds within which a stream has caught up or is over, however busy it is: two minutes until an object counts as
 * stuck, and the longest pause before a channel is asked for again.
 */
const BUSY = 200;
/** Seconds within which streams notice what has happened before. */
const SETTLED = 40;
/** Seconds in which only one channel is busy, and then none. */
const QUIET = 70;
/** Seconds after which a reader that reads nothing is given up. */
const STALLED = 130;

/** Milliseconds after which networks begin to cut silent connections; a stream is never silent for so long. */
const SILENT = 32_000;

/** Has every object work, and every client that is there read, for some seconds, or until all is done. */
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
      hold(now - Math.max(start, waitingSince) < SILENT, () => `${name} is silent`);
    }
    simulation.time.pass(1_000);
    for (let next = simulation.time.next; next; next = simulation.time.next) {
      if (next.at > simulation.time.now()) break;
      next.fire();
      await rest(simulation);
    }
  }
}

/** Has everything happen that needs no time. */
async function rest(simulation: Simulation): Promise<void> {
  for (;;) {
    await simulation.settle();
    const [action] = [...simulation.duties(), ...simulation.reading()];
    if (!action) return;
    action.happen();
  }
}

/** Comes to rest while all channels are busy, and then in silence: every stream has caught up by then, or is over. */
export async function checkCaughtUp(simulation: Simulation): Promise<void> {
  const { readers, pollers, used } = simulation;
  const announce = () => {
    for (const channel of used) simulation.announce(channel);
  };
  await work(simulation, SETTLED, announce);
  await work(simulation, BUSY, announce, () => readers.every((reader) => missingOf(reader) === undefined));
  for (const reader of readers) hold(!missingOf(reader), () => `${reader.name} ${missingOf(reader)}`);
  const alive = readers.filter(
    ({ over, hasVanished, object }) =>
      !over && !hasVanished && !object.hasBeenSilent && !object.hasSentInvalid,
  );
  // Where that isn't a part of a stream, nothing else shows that the stream is alive.
  await work(simulation, QUIET, () => simulation.announce("all"));
  await work(simulation, QUIET, () => {});
  for (const { name, over } of pollers) hold(over !== undefined, () => `${name} hangs`);
  for (const { name, over } of alive) hold(over === undefined, () => `${name} is ${over} without a cause`);
  announce();
  await rest(simulation);
  for (const reader of readers) checkReading(simulation, reader);
}

/** What a stream has to come to, and hasn't yet; undefined if it has. */
function missingOf({ over, hasVanished, object, judge }: Reader): string | undefined {
  if (over || hasVanished || object.hasSentInvalid) return undefined;
  if (object.hasVanished) return "hasn't noticed that its object is gone";
  const channels = judge instanceof EventsJudge ? judge.channels : [];
  const missing = channels.find((channel) => !isSettled(judge, channel));
  return missing === undefined ? undefined : `never gets ${missing}`;
}

/** Whether a stream has begun on a channel, or was refused there. */
function isSettled(judge: Judge, channel: string): boolean {
  return !(judge instanceof EventsJudge) || judge.live.has(channel) || judge.refused.has(channel);
}

/** The stream has the newest message of each channel. */
function checkReading({ truth }: Simulation, { name, over, hasVanished, object, judge }: Reader): void {
  if (over || hasVanished || object.hasSentInvalid) return;
  if (judge instanceof LinesJudge) {
    hold(judge.length === object.sent.length, () => `${name} misses what was sent last`);
  }
  if (!(judge instanceof EventsJudge)) return;
  for (const [i, channel] of judge.channels.entries()) {
    if (!judge.live.has(channel)) continue;
    const at = judge.at[i] ?? truth.find(channel, judge.last.get(channel) ?? "");
    hold(
      at === truth.newest(channel),
      () => `${name} is at ${at} of ${channel}, not ${truth.newest(channel)}`,
    );
  }
}

/** When clients have gone, or have read nothing for long, no connection, timer or text is left. */
export async function checkNothingLeft(simulation: Simulation): Promise<void> {
  for (const reader of simulation.readers) if (!reader.hasVanished) reader.leave();
  const areAllGone = simulation.readers.every(({ hasVanished }) => !hasVanished);
  hold(!areAllGone || simulation.time.timers === 0, () => "a timer outlives its stream");
  await work(simulation, STALLED, () => {});
  for (const { name, object } of [...simulation.readers, ...simulation.pollers]) {
    hold(object.isLeft, () => `the connection of ${name} is left open`);
  }
  hold(simulation.time.timers === 0, () => `${simulation.time.timers} timers are left`);
  hold(simulation.budget.size === 0, () => `${simulation.budget.size} characters are left`);
}
