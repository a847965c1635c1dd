/**
 * What is due later, whether this object is in memory by then or not: one alarm, for what comes first. Setting
 * it costs a row, so it is never taken back or put off: it goes off for nothing instead.
 */
import type { World } from "../links/world.ts";

/** How soon this object looks again after something was left unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

export class Alarm {
  readonly #world: World;
  #expiry: number;

  /** @param expiry when the first grants end, for which an earlier life of this object has set its alarm */
  constructor(world: World, expiry: number) {
    this.#world = world;
    this.#expiry = expiry;
  }

  /** When the first grants end, in milliseconds since 1970; infinite if none do. */
  get expiry(): number {
    return this.#expiry;
  }

  /**
   * Something is unfinished, and to be looked at again even if this object crashes and nobody calls.
   * @param except a time for which the alarm may be set already, and then is set for another one
   */
  watch(except?: number): void {
    const time = this.#world.now() + LOOK_AGAIN;
    const set = this.#world.alarmTime();
    if (set === undefined || set > time) void this.#world.alarm(time);
    else if (set === except) void this.#world.alarm(set - 1);
  }

  /** It is to go off at once; says whether it will. */
  async beginAnew(): Promise<boolean> {
    return this.#ensure(this.#world.now());
  }

  /** The first grants end at a time. */
  expireAt(time: number): void {
    this.#expiry = time;
    if (Number.isFinite(time)) void this.#ensure(time);
  }

  async #ensure(time: number): Promise<boolean> {
    const set = this.#world.alarmTime();
    return (set !== undefined && set <= time) || this.#world.alarm(time);
  }
}
