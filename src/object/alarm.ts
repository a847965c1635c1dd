/**
 * The object's one alarm, for the earliest of all that is due. It wakes an object that has left memory. Setting it costs
 * a row, so it is never cancelled or postponed; a spurious wake-up is cheaper.
 */
import type { RawRuntime } from "../runtime/runtime.ts";
import { CRASH_CHECK } from "../runtime/schedule.ts";

export class Alarm {
  readonly #runtime: Pick<RawRuntime, "now" | "alarm" | "alarmTime">;
  /** The alarm's time when all links were last known to be up to date; see `Schedule`. */
  rest: number | undefined;
  /** When the first token expires, in milliseconds since 1970; infinite if none does. */
  expiry = Number.POSITIVE_INFINITY;
  /** The earliest time for which storage refused to set the alarm; infinite if it refused none. */
  #refused = Number.POSITIVE_INFINITY;

  constructor(runtime: Pick<RawRuntime, "now" | "alarm" | "alarmTime">) {
    this.#runtime = runtime;
  }

  /** Sets the alarm for when the first token expires, in milliseconds since 1970. */
  expireAt(time: number): void {
    this.expiry = time;
    void this.due(time);
  }

  /** Sets the alarm for another time than `rest`, and soon enough to find out what a crash would leave unfinished. */
  mark(): void {
    const now = this.#runtime.now();
    const set = this.#runtime.alarmTime();
    if (set !== undefined && set === this.rest) void this.#set(Math.min(set - 1, now + CRASH_CHECK));
    else void this.due(now + CRASH_CHECK);
  }

  /** Has the alarm go off at once; resolves with whether it will. */
  goOffNow(): Promise<boolean> {
    return this.#ensure(this.#runtime.now());
  }

  /**
   * Sets the alarm for a time in milliseconds since 1970 or earlier, unless that is infinite.
   * @returns whether it is set, also for all times that storage refused before
   */
  async due(time: number): Promise<boolean> {
    const first = Math.min(time, this.#refused);
    return Number.isFinite(first) ? this.#ensure(first) : true;
  }

  async #ensure(time: number): Promise<boolean> {
    const set = this.#runtime.alarmTime();
    if (set !== undefined && set <= time) {
      this.#refused = Number.POSITIVE_INFINITY;
      return true;
    }
    return this.#set(time === this.rest ? time - 1 : time);
  }

  async #set(time: number): Promise<boolean> {
    const isTaken = await this.#runtime.alarm(time);
    if (!isTaken) this.#refused = Math.min(this.#refused, time);
    else if (time <= this.#refused) this.#refused = Number.POSITIVE_INFINITY;
    return isTaken;
  }
}
