/** Handles SIGINT and SIGTERM. */
import { DONE, INTERRUPTED } from "./exits.ts";

let isDone = () => false;

/** Sets the check whether an interrupted command has done all its work; by default, it hasn't. */
export function doneWhen(check: () => boolean): void {
  isDone = check;
}

type Signal = keyof typeof INTERRUPTED;

let stop: ((signal: Signal) => void) | undefined;

/** Sets what the first signal does instead of ending the program; a second one ends it. */
export function instead(work: (signal: Signal) => void): void {
  stop = work;
}

export function endWithSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stop === undefined) process.exit(isDone() ? DONE : INTERRUPTED[signal]);
      const work = stop;
      stop = undefined;
      work(signal);
    });
  }
}
