/** Handles SIGINT and SIGTERM. */
import { DONE, INTERRUPTED } from "./exits.ts";

let isDone = () => false;

/** Sets the check whether an interrupted command has done all its work; by default, it hasn't. */
export function doneWhen(check: () => boolean): void {
  isDone = check;
}

export function endWithSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => process.exit(isDone() ? DONE : INTERRUPTED[signal]));
  }
}
