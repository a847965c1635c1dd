/** Timers and promises with timeouts. */

import type { Cancel, Environment } from "./environment.ts";
import type { RequestOptions } from "./types.ts";

/** The timeout of token functions, requests and imports, in milliseconds. */
const TIMEOUT = 20_000;

export const SILENT = "the server didn't reply";

/**
 * Returns a promise that rejects on timeout or abort.
 * @param begin starts the work; returns a function that cancels it and returns the error for a timeout
 */
export function limited<T>(
  environment: Environment,
  { timeout, signal }: RequestOptions,
  begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => Error,
): Promise<T> {
  let end: Cancel = () => {};
  const promise = new Promise<T>((resolve, reject) => {
    if (signal?.aborted) throw signal.reason;
    // An invalid timeout or signal throws before the work begins.
    const cancel = timeout === undefined ? end : environment.later(timeout, () => reject(cancelWork()));
    const abort = () => {
      cancelWork();
      reject(signal?.reason);
    };
    end = () => {
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort);
    const cancelWork = begin(resolve, reject);
  });
  return promise.finally(() => end());
}

/** Runs `act` with a timeout, so that neither the network nor the program's functions can hang the client. */
export function inTime<T>(
  environment: Environment,
  signal: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
  why = SILENT,
): Promise<T> {
  return limited(environment, { timeout: TIMEOUT, signal }, (resolve, reject) => {
    const controller = new AbortController();
    act(controller.signal).then(resolve, reject);
    return () => {
      controller.abort();
      return new Error(why);
    };
  });
}

/** Calls `act` after a delay, unless the signal is aborted earlier. */
export function after(environment: Environment, milliseconds: number, signal: AbortSignal, act: () => void): void {
  if (signal.aborted) return;
  const cancel = environment.later(milliseconds, () => {
    signal.removeEventListener("abort", cancel);
    act();
  });
  signal.addEventListener("abort", cancel);
}
