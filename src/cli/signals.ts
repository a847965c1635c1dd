/** SIGINT and SIGTERM: the exit code says whether work was left. */
import { DONE, INTERRUPTED } from "./exits.ts";

let isDone = () => false;

/** Sets how to find out whether an interrupted command has done its work; without this, it hasn't. */
export function doneWhen(check: () => boolean): void {
  isDone = check;
}

export function endWithSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => process.exit(isDone() ? DONE : INTERRUPTED[signal]));
  }
}
