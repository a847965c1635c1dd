/** Calls that may be repeated without harm, and are if they fail. */
import { CallFailed, type World } from "./world.ts";

/** Attempts before the far side counts as unreachable. */
const ATTEMPTS = 5;

/**
 * Attempts something until it resolves.
 * @param goesOn asked before each attempt; once it says no, the outcome is undefined
 * @throws what the last attempt threw, after so many failures
 */
export async function retry<T>(
  { sleep }: Pick<World, "sleep">,
  attempt: () => Promise<T>,
  goesOn: () => boolean = () => true,
): Promise<T | undefined> {
  for (let failures = 0; goesOn(); ) {
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
