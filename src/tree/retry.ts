/** Retries of idempotent calls: a few at once, and later ones that the alarm triggers. */
import { CallFailed, type Runtime } from "../runtime/runtime.ts";

/** Attempts before the other object counts as unreachable. */
const ATTEMPTS = 5;

/**
 * Repeats an attempt until it resolves.
 * @param shouldContinue called before each attempt; if it returns false, the result is undefined
 * @throws the error of the last attempt
 */
export async function retry<T>(
  { sleep }: Pick<Runtime, "sleep">,
  attempt: () => Promise<T>,
  shouldContinue: () => boolean = () => true,
): Promise<T | undefined> {
  for (let failures = 0; shouldContinue(); ) {
    try {
      return await attempt();
    } catch (error) {
      failures = countFailure(failures, error);
      if (failures >= ATTEMPTS) throw error;
      await sleep(backoff(failures));
    }
  }
  return undefined;
}

/** The shortest and the longest delay before the next retry, in milliseconds. */
const MIN_DELAY = 10_000;
const MAX_DELAY = 600_000;

/** Retries that are due within this time, in milliseconds, are made at once, so that several retries share an alarm. */
const EARLY = 5_000;

/** A retry of a call to an unreachable object. Times are in milliseconds since 1970. */
export interface PendingRetry {
  /** The time of the first failure. */
  since: number;
  /** The time of the next attempt; undefined if this instance of the object hasn't made one. */
  next: number | undefined;
}

/**
 * Returns the time of the next attempt. The delay grows with the time since the first failure: a day of failures takes
 * about 150 attempts, and an object that is reachable again isn't kept waiting for long.
 */
export function retryAt({ since, next }: PendingRetry, now: number): number {
  return next !== undefined && next > now ? next : later(since, now);
}

function later(since: number, now: number): number {
  return now + Math.min(MAX_DELAY, Math.max(MIN_DELAY, now - since));
}

/** Schedules the next attempt after another failure. */
export function postpone(retry: PendingRetry, now: number): void {
  retry.next = later(retry.since, now);
}

/** Whether to make the next attempt now. */
export function isDue({ next }: PendingRetry, now: number): boolean {
  return next === undefined || next <= now + EARLY;
}

/** Returns the earliest time of the next attempts; infinite if there are no retries. */
export function earliestRetry(retries: Iterable<PendingRetry>, now: number): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const retry of retries) earliest = Math.min(earliest, retryAt(retry, now));
  return earliest;
}

/** Returns the delay after a number of failures, in milliseconds: 50, 200, 800, 3200. */
function backoff(failures: number): number {
  return 50 * 4 ** (failures - 1);
}

/**
 * Returns the number of failures after one more. Calls to an overloaded object are repeated only once, after the
 * longest delay. Calls that threw in the other object aren't repeated, because they would throw again.
 */
function countFailure(failures: number, error: unknown): number {
  if (!(error instanceof CallFailed)) return failures + 1;
  return error.why === "thrown" ? ATTEMPTS : Math.max(failures + 1, ATTEMPTS - 1);
}
