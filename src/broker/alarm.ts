/** What is due later, whether this object is in memory by then or not: one alarm, for what comes first. */
import type { World } from "../links/world.ts";

/** How soon this object looks again after something was left unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

export class Alarm {
  readonly #world: World;
  /** When to look again at what is unfinished. */
  #lookAt = Number.POSITIVE_INFINITY;
  #expiry: number;
  /** When this object is to begin anew. */
  #anewAt = Number.POSITIVE_INFINITY;

  /** @param expiry when the first grants end, for which an earlier life of this object has set its alarm */
  constructor(world: World, expiry: number) {
    this.#world = world;
    this.#expiry = expiry;
  }

  /** When the first grants end, in milliseconds since 1970; infinite if none do. */
  get expiry(): number {
    return this.#expiry;
  }

  /** Something is unfinished, and to be looked at again even if this object crashes and nobody calls. */
  watch(): void {
    const now = this.#world.now();
    if (this.#lookAt > now && this.#lookAt < Number.POSITIVE_INFINITY) return;
    this.#lookAt = now + LOOK_AGAIN;
    this.#set();
  }

  /** Nothing is unfinished any more. */
  unwatch(): void {
    if (this.#lookAt === Number.POSITIVE_INFINITY) return;
    this.#lookAt = Number.POSITIVE_INFINITY;
    this.#set();
  }

  /** It is to go off at once, so that what this object does then is not deep. */
  beginAnew(): void {
    if (this.#anewAt <= this.#world.now()) return;
    this.#anewAt = this.#world.now();
    this.#set();
  }

  /** The first grants end at a time. */
  expireAt(time: number): void {
    this.#expiry = time;
    this.#set();
  }

  /** It has gone off; what is still due has to be said again. */
  rang(): void {
    this.#lookAt = this.#expiry = this.#anewAt = Number.POSITIVE_INFINITY;
    this.#world.alarm(undefined);
  }

  #set(): void {
    const time = Math.min(this.#lookAt, this.#expiry, this.#anewAt);
    this.#world.alarm(Number.isFinite(time) ? time : undefined);
  }
}
