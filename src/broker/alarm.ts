/**
 * What is due later, whether this object is in memory by then or not: one alarm, for what comes first. Setting
 * it costs a row, so it is never taken back or put off: it goes off for nothing instead.
 */
import type { World } from "../links/world.ts";

/** How soon this object looks again after something was left unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

export class Alarm {
  readonly #world: World;
  readonly #rest: () => number | undefined;
  #expiry: number;

  /**
   * @param expiry when the first grants end, for which an earlier life of this object has set its alarm
   * @param rest for when an alarm says nothing; see `links/downstream.ts`
   */
  constructor(world: World, expiry: number, rest: () => number | undefined) {
    this.#world = world;
    this.#expiry = expiry;
    this.#rest = rest;
  }

  /** When the first grants end, in milliseconds since 1970; infinite if none do. */
  get expiry(): number {
    return this.#expiry;
  }

  /** Something is unfinished, and to be looked at again even if this object crashes and nobody calls. */
  watch(): void {
    void this.#ensure(this.#world.now() + LOOK_AGAIN);
  }

  /** The same, and it has to show by the alarm that something is under way. */
  mark(): void {
    const set = this.#world.alarmTime();
    const saysNothing = set !== undefined && set === this.#rest();
    if (saysNothing) void this.#world.alarm(Math.min(set - 1, this.#world.now() + LOOK_AGAIN));
    else this.watch();
  }

  /** It is to go off at once; says whether it will. */
  async beginAnew(): Promise<boolean> {
    return this.#ensure(this.#world.now());
  }

  /** Something in storage is over at a time, in milliseconds since 1970. */
  goOffBy(time: number): void {
    void this.#ensure(time);
  }

  /** The first grants end at a time. */
  expireAt(time: number): void {
    this.#expiry = time;
    if (Number.isFinite(time)) void this.#ensure(time);
  }

  /** It goes off at a time or before; if it has to be set for that, never so that it says nothing. */
  async #ensure(time: number): Promise<boolean> {
    const set = this.#world.alarmTime();
    if (set !== undefined && set <= time) return true;
    return this.#world.alarm(time === this.#rest() ? time - 1 : time);
  }
}
