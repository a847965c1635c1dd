/**
 * What is due later, whether this object is in memory by then or not: one alarm, for what comes first. Setting
 * it costs a row, so it is never taken back or put off: it goes off for nothing instead.
 */
import type { Runtime } from "../runtime/runtime.ts";

/** How soon this object looks again after something was begun that a crash would leave unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

export class Alarm {
  readonly #runtime: Runtime;
  readonly #rest: () => number | undefined;
  #expiry: number;
  /** The earliest time for which storage did not take it; infinite if it took all. */
  #refused = Number.POSITIVE_INFINITY;

  /**
   * @param expiry when the first grants end, for which an earlier life of this object has set its alarm
   * @param rest for when an alarm says nothing; see `tree/downstream.ts`
   */
  constructor(runtime: Runtime, expiry: number, rest: () => number | undefined) {
    this.#runtime = runtime;
    this.#expiry = expiry;
    this.#rest = rest;
  }

  /** When the first grants end, in milliseconds since 1970; infinite if none do. */
  get expiry(): number {
    return this.#expiry;
  }

  /** Something is under way, which has to show by the alarm, and is to be looked at again if this object crashes. */
  mark(): void {
    const now = this.#runtime.now();
    const set = this.#runtime.alarmTime();
    const saysNothing = set !== undefined && set === this.#rest();
    if (saysNothing) void this.#set(Math.min(set - 1, now + LOOK_AGAIN));
    else void this.goOffBy(now + LOOK_AGAIN);
  }

  /** It is to go off at once; says whether it will. */
  async beginAnew(): Promise<boolean> {
    return this.#ensure(this.#runtime.now());
  }

  /**
   * It is to go off by a time, in milliseconds since 1970; not at all if that is infinite.
   * @returns whether it will, and for what storage did not take before, too
   */
  async goOffBy(time: number): Promise<boolean> {
    const first = Math.min(time, this.#refused);
    return Number.isFinite(first) ? this.#ensure(first) : true;
  }

  /** The first grants end at a time. */
  expireAt(time: number): void {
    this.#expiry = time;
    void this.goOffBy(time);
  }

  /** It goes off at a time or before; if it has to be set for that, never so that it says nothing. */
  async #ensure(time: number): Promise<boolean> {
    const set = this.#runtime.alarmTime();
    if (set !== undefined && set <= time) {
      this.#refused = Number.POSITIVE_INFINITY;
      return true;
    }
    return this.#set(time === this.#rest() ? time - 1 : time);
  }

  async #set(time: number): Promise<boolean> {
    const isTaken = await this.#runtime.alarm(time);
    if (!isTaken) this.#refused = Math.min(this.#refused, time);
    else if (time <= this.#refused) this.#refused = Number.POSITIVE_INFINITY;
    return isTaken;
  }
}
