/** Calls that may be repeated without harm, and are if they fail. */
import { CallFailed, type Runtime } from "../runtime/runtime.ts";

/** Attempts before the far side counts as unreachable. */
const ATTEMPTS = 5;

/**
 * Attempts something until it resolves.
 * @param shouldContinue asked before each attempt; once it says no, the outcome is undefined
 * @throws what the last attempt threw, after so many failures
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

/** How soon something is tried again that stays undone, and how late at most, in milliseconds. */
const SOON = 10_000;
const AT_MOST = 600_000;

/** What is due so soon, in milliseconds, is done now: several things need not have the alarm go off for each. */
const TOGETHER = 5_000;

/** Something that can't be done now, as another object can't be reached. Times are in milliseconds since 1970. */
export interface PendingRetry {
  /** Since when. */
  since: number;
  /** When to try again; undefined if that has not been tried in this life of the object. */
  next: number | undefined;
}

/**
 * When to try again what has failed. The longer it has been undone, the later: so what can't be done for a day costs a
 * hundred rows, and is done soon after it can be.
 */
export function retryAt({ since, next }: PendingRetry, now: number): number {
  return next !== undefined && next > now ? next : later(since, now);
}

function later(since: number, now: number): number {
  return now + Math.min(AT_MOST, Math.max(SOON, now - since));
}

/** Notes that something has failed once more. */
export function postpone(retry: PendingRetry, now: number): void {
  retry.next = later(retry.since, now);
}

/** Whether to try again now. */
export function isDue({ next }: PendingRetry, now: number): boolean {
  return next === undefined || next <= now + TOGETHER;
}

/** The first of the times at which to try again some things; infinite if there are none. */
export function earliestRetry(retries: Iterable<PendingRetry>, now: number): number {
  let first = Number.POSITIVE_INFINITY;
  for (const one of retries) first = Math.min(first, retryAt(one, now));
  return first;
}

/** Milliseconds to wait after `failures` of them: 50, 200, 800, 3200. */
function backoff(failures: number): number {
  return 50 * 4 ** (failures - 1);
}

/**
 * What a failure adds to the failures before it. An overloaded object is asked once more, after the
 * longest wait, and code that threw would throw again; all else may be a matter of moments.
 */
function countFailure(failures: number, error: unknown): number {
  if (!(error instanceof CallFailed)) return failures + 1;
  return error.why === "thrown" ? ATTEMPTS : Math.max(failures + 1, ATTEMPTS - 1);
}
