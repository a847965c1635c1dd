/**
 * Counts the events of one isolate of the Worker, which has no place to store them, and reports them to the root of
 * `all`. Clients with bad tokens cause such events, so reports are rare however many there are: the first at once, further
 * ones at least ten seconds apart, and up to a minute apart while refusals go on.
 */
import type { Tally } from "../runtime/calls.ts";
import { type Name, sumOfTallies } from "./tally.ts";

/** Least time between two reports, in milliseconds. */
export const MIN_INTERVAL = 10_000;

/** Time between two reports while there is always something to report, in milliseconds. */
export const MAX_INTERVAL = 60_000;

/** Longest time to wait for the next report, in milliseconds: the platform ends work 30 seconds after its request. */
const MAX_WAIT = 20_000;

/** How late a report may be before it counts as lost, in milliseconds: a cancelled request loses its timers. */
const LOST_AFTER = 1_000;

interface Surroundings {
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Has work outlast its request. */
  keep(work: Promise<void>): void;
}

export class WorkerTally {
  readonly #surroundings: Surroundings;
  #events: Tally = {};
  #interval = MIN_INTERVAL;
  /** When the last report was made, in milliseconds since 1970. */
  #reportedAt = Number.NEGATIVE_INFINITY;
  /** When the next report will be made; undefined if none is scheduled. */
  #dueAt: number | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /**
   * Counts an event.
   * @param send reports events; called at once, later, or never
   */
  count(name: Name, send: (events: Tally) => Promise<void>): void {
    this.#events[name] = (this.#events[name] ?? 0) + 1;
    const { now, sleep, keep } = this.#surroundings;
    const time = now();
    if (this.#dueAt !== undefined && time < this.#dueAt + LOST_AFTER) return;
    const wait = Math.max(0, this.#reportedAt + this.#interval - time);
    // Without refusals until then, the rest is reported with the next one.
    if (wait > MAX_WAIT) return;
    this.#dueAt = time + wait;
    keep(wait === 0 ? this.#report(send) : sleep(wait).then(() => this.#report(send)));
  }

  /** Reports all events so far. If that fails, they are part of the next report. */
  async #report(send: (events: Tally) => Promise<void>): Promise<void> {
    this.#dueAt = undefined;
    const events = this.#events;
    // A timer that seemed lost has reported them.
    if (Object.keys(events).length === 0) return;
    const time = this.#surroundings.now();
    const goesOn = time - this.#reportedAt < 2 * this.#interval;
    this.#interval = goesOn ? Math.min(2 * this.#interval, MAX_INTERVAL) : MIN_INTERVAL;
    this.#reportedAt = time;
    this.#events = {};
    await send(events).catch(() => {
      this.#events = sumOfTallies(events, this.#events);
    });
  }
}
