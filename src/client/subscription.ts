/** One subscription of a program: where it is in its channel, its listeners, and its iterators. */
import type { Member } from "./channel.ts";
import { checkListener, demand } from "./inputs.ts";
import { Feed } from "./iterator.ts";
import { add, type Listeners, tell } from "./listeners.ts";
import type {
  Codec,
  Message,
  SubscribeOptions,
  Subscription,
  SubscriptionEvents,
  SubscriptionState,
} from "./types.ts";
import type { World } from "./world.ts";

const BUFFER = 1_000;

type Sets<T> = { readonly [K in keyof SubscriptionEvents]: Listeners<SubscriptionEvents<T>[K]> };

export class Subscriber<T> implements Member {
  readonly channel: string;
  readonly last: number;
  position: number | undefined;
  isChecked = false;
  mayLack = false;
  hasBeenLive = false;
  state: SubscriptionState = "subscribing";
  readonly #world: World;
  readonly #codec: Codec<T>;
  readonly #leave: () => void;
  readonly #most: number;
  readonly #dropsOldest: boolean;
  readonly #listeners: Sets<T> = {
    message: new Set(),
    gap: new Set(),
    position: new Set(),
    state: new Set(),
    invalid: new Set(),
  };
  readonly #feeds = new Set<Feed<Message<T>>>();
  /** For the first loop; undefined when there is one, and where a listener gets messages. */
  #early: Feed<Message<T>> | undefined;
  /** Those that were dropped as nothing iterated. */
  #dropped: { from: number | undefined; to: number | undefined } | undefined;
  #error: Error | undefined;
  #isCheckDue = false;
  #forget = () => {};

  /** @param leave takes it out of its channel */
  constructor(
    world: World,
    channel: string,
    options: SubscribeOptions<T>,
    codec: Codec<T>,
    leave: () => void,
  ) {
    this.#world = world;
    this.channel = channel;
    this.position = options.since;
    this.last = options.last ?? 0;
    this.#codec = codec;
    this.#leave = leave;
    this.#most = options.buffer ?? Math.max(BUFFER, 2 * this.last);
    this.#dropsOldest = options.overflow === "oldest";
    if (!options.onMessage) this.#early = this.#newFeed();
    this.#listen(options);
  }

  #listen({ onMessage, onGap, onPosition, onState, onInvalid, signal }: SubscribeOptions<T>): void {
    const { message, gap, position, state, invalid } = this.#listeners;
    add(message, onMessage);
    add(gap, onGap);
    add(position, onPosition);
    add(state, onState && (({ state, error }) => onState(state, error?.message, error)));
    add(invalid, onInvalid);
    const abort = () => this.end(undefined);
    signal?.addEventListener("abort", abort);
    this.#forget = () => signal?.removeEventListener("abort", abort);
  }

  /** Ends it, with an error if there is one. */
  end(error: Error | undefined): void {
    if (this.state === "unsubscribed") return;
    this.#error = error;
    this.#forget();
    this.#leave();
    this.become("unsubscribed", error);
    for (const feed of this.#feeds) feed.end(error);
  }

  // --- for its channel

  hear(text: string, position: number | undefined): void {
    this.locate(position);
    const message = this.#decoded(text, position);
    if (message) this.#hand(message);
  }

  #hand(message: Message<T>): void {
    tell(this.#listeners.message, message);
    for (const feed of this.#feeds) feed.push(message);
    if (!this.#isCheckDue && [...this.#feeds].some(({ size }) => size > this.#most)) this.#checkSoon();
  }

  #decoded(text: string, position: number | undefined): Message<T> | undefined {
    const { channel } = this;
    try {
      return { channel, text, data: this.#codec.decode(text), position };
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      tell(this.#listeners.invalid, { error, channel, text, position });
      return undefined;
    }
  }

  locate(position: number | undefined): void {
    if (position === this.position) return;
    this.position = position;
    if (position !== undefined) tell(this.#listeners.position, position);
  }

  miss(from: number | undefined, to: number | undefined): void {
    tell(this.#listeners.gap, { channel: this.channel, from, to });
  }

  become(state: SubscriptionState, error?: Error): void {
    if (this.state === state || this.state === "unsubscribed") return;
    this.state = state;
    tell(this.#listeners.state, { state, error });
  }

  // --- buffers

  /** A frame may have more messages than a buffer; a loop gets the chance to read them. */
  #checkSoon(): void {
    this.#isCheckDue = true;
    this.#world.later(0, () => {
      this.#isCheckDue = false;
      for (const feed of [...this.#feeds]) this.#trim(feed);
    });
  }

  #trim(feed: Feed<Message<T>>): void {
    if (feed.size <= this.#most) return;
    // Before there is a loop, nothing is too slow; it is told of the gap when it begins.
    const isEarly = feed === this.#early;
    if (!isEarly && !this.#dropsOldest) {
      this.#overflow();
      return;
    }
    const first = feed.shift();
    let last = first;
    while (feed.size > this.#most) last = feed.shift();
    const from = first?.position === undefined ? undefined : first.position - 1;
    const to = last?.position;
    if (isEarly) this.#dropped = { from: this.#dropped ? this.#dropped.from : from, to };
    else this.miss(from, to);
  }

  #overflow(): void {
    const why = `more than ${this.#most} messages are pending: read faster, or subscribe with a larger \`buffer\``;
    this.end(new Error(why));
  }

  #newFeed(): Feed<Message<T>> {
    const feed = new Feed<Message<T>>(() => {
      this.#feeds.delete(feed);
      if (this.#feeds.size === 0) this.end(undefined);
    });
    this.#feeds.add(feed);
    return feed;
  }

  /** Begins to iterate: the first iterator gets what was received before. */
  iterate(): AsyncIterableIterator<Message<T>> {
    const feed = this.#early ?? this.#newFeed();
    const dropped = this.#dropped;
    this.#early = this.#dropped = undefined;
    if (dropped && this.#dropsOldest) this.miss(dropped.from, dropped.to);
    else if (dropped) this.#overflow();
    if (this.state === "unsubscribed") feed.end(this.#error);
    return feed;
  }

  on<K extends keyof SubscriptionEvents>(
    kind: K,
    listener: (event: SubscriptionEvents<T>[K]) => void,
  ): () => void {
    checkListener(listener);
    const listeners = this.#listeners[kind];
    demand(listeners !== undefined, "the event", kind, Object.keys(this.#listeners).join(", "));
    if (kind === "message" && this.#early) {
      this.#feeds.delete(this.#early);
      this.#early = undefined;
    }
    return add(listeners, listener);
  }

  /** What programs see: without private members, so that it can be wrapped in a proxy. */
  get face(): Subscription<T> {
    const self = this;
    return {
      channel: this.channel,
      get state() {
        return self.state;
      },
      get position() {
        return self.position;
      },
      on: (kind, listener) => this.on(kind, listener),
      unsubscribe: () => this.end(undefined),
      [Symbol.asyncIterator]: () => this.iterate(),
    };
  }
}
