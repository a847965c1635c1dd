/** One subscription of a program: its position, listeners and iterators. */
import type { Member } from "./channel.ts";
import type { Environment } from "./environment.ts";
import { Feed } from "./iterator.ts";
import { add, addFor, emit, type ListenersByKind } from "./listeners.ts";
import type { Codec, Message, SubscribeOptions, Subscription, SubscriptionEvents, SubscriptionState } from "./types.ts";

/** Default buffer of a loop, in messages. */
const BUFFER = 1_000;

/** Methods for programs are arrow functions, so that a subscription may be wrapped in a proxy, as Vue does. */
export class Subscriber<T> implements Member, Subscription<T> {
  readonly channel: string;
  readonly last: number;
  position: number | undefined;
  isFresh: boolean;
  state: SubscriptionState = "subscribing";
  readonly #environment: Environment;
  readonly #codec: Codec<T>;
  readonly #leave: () => void;
  readonly #limit: number;
  readonly #options: SubscribeOptions<T>;
  readonly #listeners: ListenersByKind<SubscriptionEvents<T>> = {
    message: new Set(),
    gap: new Set(),
    position: new Set(),
    state: new Set(),
    invalid: new Set(),
  };
  readonly #feeds = new Set<Feed<Message<T>>>();
  /** Buffers messages for the first loop; undefined after that begins, or if a listener receives messages. */
  #firstFeed: Feed<Message<T>> | undefined;
  #error: Error | undefined;
  #isCheckDue = false;

  /** @param leave removes it from its channel */
  constructor(
    environment: Environment,
    channel: string,
    options: SubscribeOptions<T>,
    codec: Codec<T>,
    leave: () => void,
  ) {
    const { since, last = 0, onMessage, onGap, onPosition, onState, onInvalid, signal } = options;
    this.#environment = environment;
    this.channel = channel;
    this.position = since;
    this.last = last;
    this.isFresh = since === undefined;
    this.#codec = codec;
    this.#leave = leave;
    this.#limit = options.buffer ?? Math.max(BUFFER, 2 * last);
    this.#options = options;
    if (!onMessage) this.#firstFeed = this.#newFeed();
    const { message, gap, position, state, invalid } = this.#listeners;
    add(message, onMessage);
    add(gap, onGap);
    add(position, onPosition);
    add(state, onState && (({ state, error }) => onState(state, error?.message, error)));
    add(invalid, onInvalid);
    signal?.addEventListener("abort", this.unsubscribe);
  }

  // --- for programs

  readonly unsubscribe = (): void => this.end(undefined);

  readonly on = <K extends keyof SubscriptionEvents>(
    kind: K,
    listener: (event: SubscriptionEvents<T>[K]) => void,
  ): (() => void) => {
    const remove = addFor(this.#listeners, kind, listener);
    if (kind === "message" && this.#firstFeed) {
      this.#feeds.delete(this.#firstFeed);
      this.#firstFeed = undefined;
    }
    return remove;
  };

  /** Returns an iterator; the first one includes messages received before. */
  readonly [Symbol.asyncIterator] = (): AsyncIterableIterator<Message<T>> => {
    const feed = this.#firstFeed ?? this.#newFeed();
    this.#firstFeed = undefined;
    if (this.state === "unsubscribed") feed.end(this.#error);
    return feed;
  };

  // --- for its channel

  /** Ends the subscription, with an error if it failed. */
  end(error: Error | undefined): void {
    if (this.state === "unsubscribed") return;
    this.#error = error;
    this.#options.signal?.removeEventListener("abort", this.unsubscribe);
    this.#leave();
    this.become("unsubscribed", error);
    for (const feed of this.#feeds) feed.end(error);
  }

  message(text: string, position: number | undefined): void {
    const { channel } = this;
    this.moveTo(position);
    let message: Message<T>;
    try {
      message = { channel, text, data: this.#codec.decode(text), position };
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      emit(this.#listeners.invalid, { error, channel, text, position });
      return;
    }
    emit(this.#listeners.message, message);
    for (const feed of this.#feeds) {
      feed.push(message);
      if (feed.size > this.#limit) this.#checkSoon();
    }
  }

  moveTo(position: number | undefined): void {
    if (position === this.position) return;
    this.position = position;
    if (position !== undefined) emit(this.#listeners.position, position);
  }

  gap(from: number | undefined, to: number | undefined): void {
    emit(this.#listeners.gap, { channel: this.channel, from, to });
  }

  become(state: SubscriptionState, error?: Error): void {
    if (this.state === state || this.state === "unsubscribed") return;
    this.state = state;
    emit(this.#listeners.state, { state, error });
  }

  // --- buffers

  /** Checks buffers in the next turn, as one frame may hold more messages than a buffer, and the loop must run first. */
  #checkSoon(): void {
    if (this.#isCheckDue) return;
    this.#isCheckDue = true;
    this.#environment.later(0, () => {
      this.#isCheckDue = false;
      for (const feed of this.#feeds) if (feed.size > this.#limit) this.#trim(feed);
    });
  }

  #trim(feed: Feed<Message<T>>): void {
    if (this.#options.overflow === "oldest") {
      const first = feed.shift()?.position;
      let last = first;
      while (feed.size > this.#limit) last = feed.shift()?.position;
      this.gap(first && first - 1, last);
      return;
    }
    this.end(new Error(`more than ${this.#limit} messages are pending; read faster, or raise \`buffer\``));
  }

  #newFeed(): Feed<Message<T>> {
    const feed = new Feed<Message<T>>(() => {
      this.#feeds.delete(feed);
      if (this.#feeds.size === 0) this.unsubscribe();
    });
    this.#feeds.add(feed);
    return feed;
  }
}
