/** Counts events that only metrics show, by names known in advance: so no client can make their number grow. */
import type { Tally } from "../runtime/calls.ts";
import { type Name, sumOfTallies } from "./tally.ts";

export class EventCounters {
  readonly #log: (name: Name) => void;
  #tally: Tally = {};
  /** Whether anything was counted since that was set to false. */
  hasChanged = false;

  /** @param log logs the events that operators look for */
  constructor(log: (name: Name) => void) {
    this.#log = log;
  }

  /** The counters; undefined if all are zero. */
  get tally(): Tally | undefined {
    return Object.keys(this.#tally).length === 0 ? undefined : this.#tally;
  }

  /** Counts an event, `n` times. */
  note(name: Name, n = 1): void {
    this.#tally[name] = (this.#tally[name] ?? 0) + n;
    this.hasChanged = true;
    this.#log(name);
  }

  /** Adds the counters of another object, or of an earlier life of this one. */
  add(tally: Tally): void {
    this.#tally = sumOfTallies(this.#tally, tally);
  }

  /** Sets all counters to zero. */
  reset(): void {
    this.#tally = {};
    this.hasChanged = false;
  }
}
