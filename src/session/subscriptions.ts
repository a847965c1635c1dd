/** Indexes the subscriptions of an object by channel, and estimates their memory. */

import type { Connection } from "./connection.ts";

/** Most memory of all subscriptions of an object, in bytes: a quarter of its 128 MB. */
const MAX_MEMORY = 32_000_000;
/** Memory of a subscription besides its name in the attachment, in bytes. */
const SUBSCRIPTION = 100;
/** Additional memory of a channel's first subscription, in bytes. */
const FIRST_SUBSCRIPTION = 400;

const NONE: ReadonlySet<never> = new Set();

export class Subscriptions {
  readonly #byChannel = new Map<string, Set<Connection>>();
  count = 0;
  #memory = 0;

  /** The channels that have subscribers. */
  get channels(): Iterable<string> {
    return this.#byChannel.keys();
  }

  /** Whether there is no memory for one more subscription. */
  get isFull(): boolean {
    return this.#memory > MAX_MEMORY;
  }

  /** Whether memory is so short that new connections should go to another object. */
  get isCrowded(): boolean {
    return this.#memory > MAX_MEMORY * 0.75;
  }

  /** Returns the subscribers of `channel`, as a live set. */
  of(channel: string): ReadonlySet<Connection> {
    return this.#byChannel.get(channel) ?? NONE;
  }

  add(subscriber: Connection, channel: string): void {
    const subscribers = this.#byChannel.get(channel) ?? new Set();
    if (subscribers.size === 0) this.#byChannel.set(channel, subscribers);
    this.#memory += memoryOf(channel, subscribers.size);
    this.count += 1;
    subscriber.channels.add(channel);
    subscribers.add(subscriber);
  }

  remove(subscriber: Connection, channel: string): void {
    const subscribers = this.#byChannel.get(channel);
    subscriber.channels.delete(channel);
    if (!subscribers?.delete(subscriber)) return;
    this.count -= 1;
    this.#memory -= memoryOf(channel, subscribers.size);
    if (subscribers.size === 0) this.#byChannel.delete(channel);
  }
}

/** Returns the memory of another subscription to a channel with `others` subscriptions, in bytes. */
function memoryOf(channel: string, others: number): number {
  return SUBSCRIPTION + channel.length + (others === 0 ? FIRST_SUBSCRIPTION + channel.length : 0);
}
