/** Promises and timers that are given up. */

import type { Cancel, Environment } from "./environment.ts";
import type { RequestOptions } from "./types.ts";

/** Time for whatever a connection needs besides a `WebSocket`, in milliseconds. */
const PATIENCE = 20_000;

export const SILENT = "the server doesn't answer";

/**
 * Makes a promise that is rejected when its time is over, or its signal is aborted.
 * @param begin settles the promise some time later; returns a function that gives it up, and returns the error of a promise
 *   whose time is over
 */
export function limited<T>(
  environment: Environment,
  { timeout, signal }: RequestOptions,
  begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => Error,
): Promise<T> {
  let end: Cancel = () => {};
  const promise = new Promise<T>((resolve, reject) => {
    if (signal?.aborted) throw signal.reason;
    const giveUp = begin(resolve, reject);
    const abort = () => {
      giveUp();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    const cancel = timeout === undefined ? end : environment.later(timeout, () => reject(giveUp()));
    end = () => {
      cancel();
      signal?.removeEventListener("abort", abort);
    };
  });
  return promise.finally(() => end());
}

/** Does something that can't hang, whatever the network or a function of the program does. */
export function inTime<T>(
  environment: Environment,
  signal: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
  why = SILENT,
): Promise<T> {
  return limited(environment, { timeout: PATIENCE, signal }, (resolve, reject) => {
    const controller = new AbortController();
    act(controller.signal).then(resolve, reject);
    return () => {
      controller.abort();
      return new Error(why);
    };
  });
}

/** Calls `act` after so many milliseconds, unless the signal is aborted before. */
export function after(
  environment: Environment,
  milliseconds: number,
  signal: AbortSignal,
  act: () => void,
): void {
  if (signal.aborted) return;
  const cancel = environment.later(milliseconds, () => {
    signal.removeEventListener("abort", cancel);
    act();
  });
  signal.addEventListener("abort", cancel);
}
