/** Which connections of an object are subscribed to which channels, and how much memory that takes. */

/** Bytes that all subscriptions of an object together may take: a quarter of its 128 MB. */
const MOST_MEMORY = 32_000_000;
/** Bytes that a subscription takes besides its name in the attachment. */
const SUBSCRIPTION = 100;
/** Bytes that a channel's first subscription takes besides that. */
const FIRST_SUBSCRIPTION = 400;

interface Subscriber {
  readonly channels: Set<string>;
}

const NONE: ReadonlySet<never> = new Set();

export class Subscriptions<S extends Subscriber> {
  readonly #byChannel = new Map<string, Set<S>>();
  #count = 0;
  #memory = 0;

  get count(): number {
    return this.#count;
  }

  /** The channels that have subscribers. */
  get channels(): Iterable<string> {
    return this.#byChannel.keys();
  }

  /** Whether there is no memory for one more subscription. */
  get areFull(): boolean {
    return this.#memory > MOST_MEMORY;
  }

  /** Whether memory is so short that new connections should go to another object. */
  get areMany(): boolean {
    return this.#memory > MOST_MEMORY * 0.75;
  }

  /** Returns the subscribers of `channel`, a set that changes with them. */
  of(channel: string): ReadonlySet<S> {
    return this.#byChannel.get(channel) ?? NONE;
  }

  add(subscriber: S, channel: string): void {
    const subscribers = this.#byChannel.get(channel) ?? new Set();
    if (subscribers.size === 0) this.#byChannel.set(channel, subscribers);
    this.#memory += memoryOf(channel, subscribers.size);
    this.#count += 1;
    subscriber.channels.add(channel);
    subscribers.add(subscriber);
  }

  remove(subscriber: S, channel: string): void {
    const subscribers = this.#byChannel.get(channel);
    subscriber.channels.delete(channel);
    if (!subscribers?.delete(subscriber)) return;
    this.#count -= 1;
    this.#memory -= memoryOf(channel, subscribers.size);
    if (subscribers.size === 0) this.#byChannel.delete(channel);
  }
}

/** Memory of one more subscription to a channel that has so many others, in bytes. */
function memoryOf(channel: string, others: number): number {
  return SUBSCRIPTION + channel.length + (others === 0 ? FIRST_SUBSCRIPTION + channel.length : 0);
}
