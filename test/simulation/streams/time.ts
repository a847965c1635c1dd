/** A simulated clock with timers. */
import type { StreamEnvironment } from "../../../src/streams/environment.ts";
import { check } from "../violation.ts";

/** Most timers that may fire in a run: about ten times as many as any needs. */
const MOST_FIRED = 100_000;

interface Waiting {
  at: number;
  act: () => void;
}

export class Time implements StreamEnvironment {
  readonly #choose: (among: number) => number;
  readonly #timers = new Set<Waiting>();
  #fired = 0;
  #now = 1_795_438_800_000;

  constructor(choose: (among: number) => number) {
    this.#choose = choose;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.#choose(1_000) / 1_000;
  }

  after(milliseconds: number, act: () => void): () => void {
    const timer = { at: this.#now + milliseconds, act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Number of timers. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Advances the clock without firing timers, which are late then. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** The timer that is due next; undefined if none is set. */
  get next(): { at: number; fire: () => void } | undefined {
    let next: Waiting | undefined;
    for (const timer of this.#timers) if (timer.at < (next?.at ?? Number.POSITIVE_INFINITY)) next = timer;
    if (!next) return undefined;
    const timer = next;
    const fire = () => {
      this.#fired += 1;
      check(this.#fired < MOST_FIRED, () => "timers never come to rest");
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.act();
    };
    return { at: timer.at, fire };
  }
}
