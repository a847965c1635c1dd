/** What programs see of the client: interfaces, so that a test can pass in a fake of any of them. */
import type { Refused } from "./errors.ts";

/** Sends and receives data as text of one line. */
export interface Codec<T> {
  /** @throws what the caller of `announce` gets */
  encode(data: T): string;
  /** @throws what `onInvalid` gets; the message is then skipped */
  decode(text: string): T;
}

/** A schema as https://standardschema.dev describes it. */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
  };
}

type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

export interface Message<T = string> {
  channel: string;
  /** What was announced, as it was sent. */
  text: string;
  /** What the codec makes of the text; the text itself without one. */
  data: T;
  /** Undefined where the channel retains no messages. */
  position: number | undefined;
}

/** Messages after `from`, up to `to`, that can't be had; both are undefined where the channel retains no messages. */
export interface Gap {
  channel: string;
  from: number | undefined;
  to: number | undefined;
}

export type SubscriptionState = "subscribing" | "subscribed" | "unsubscribed";

export interface SubscriptionChange {
  state: SubscriptionState;
  /** Why the subscription ended, if it failed. */
  error: Error | undefined;
}

export interface SubscriptionEvents<T = string> {
  message: Message<T>;
  gap: Gap;
  position: number;
  state: SubscriptionChange;
  invalid: InvalidMessage;
}

/** A message that the codec doesn't decode. */
export interface InvalidMessage {
  error: Error;
  channel: string;
  text: string;
  position: number | undefined;
}

export interface SubscribeOptions<T = string> {
  /** Resumes after this position: messages that were missed come first. */
  since?: number | undefined;
  /** Begins with so many of the newest messages, from 1 up, where `since` isn't given. */
  last?: number | undefined;
  /** Decodes messages; without one they are text. */
  codec?: Codec<T> | undefined;
  /** Called for each message; the subscription's position has advanced by then. */
  onMessage?: ((message: Message<T>) => void) | undefined;
  /** Called for messages that can't be had. */
  onGap?: ((gap: Gap) => void) | undefined;
  /** Called with each position that is reached. */
  onPosition?: ((position: number) => void) | undefined;
  /** Called when the state changes, with a reason and the error if the subscription failed. */
  onState?: ((state: SubscriptionState, reason?: string, error?: Error) => void) | undefined;
  /** Called for a message that the codec doesn't decode; such a message is skipped. */
  onInvalid?: ((invalid: InvalidMessage) => void) | undefined;
  /** Unsubscribes when it is aborted; loops over the subscription then end. */
  signal?: AbortSignal | undefined;
  /** Messages that may be pending in one iterator, or before there is one; 1,000, or twice `last` if that is more. */
  buffer?: number | undefined;
  /** What happens to one more: the subscription ends with an error, or the oldest are dropped, which is a gap. */
  overflow?: "end" | "oldest" | undefined;
}

/** One subscription. Iterate over it, or give callbacks. */
export interface Subscription<T = string> extends AsyncIterable<Message<T>> {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** Of the newest message that was handed over; undefined before it is known, and where nothing is retained. */
  readonly position: number | undefined;
  /** Adds a listener; returns a function that removes it. */
  on<K extends keyof SubscriptionEvents>(
    kind: K,
    listener: (event: SubscriptionEvents<T>[K]) => void,
  ): () => void;
  /** Ends the subscription; loops over it end when they have read what is buffered. */
  unsubscribe(): void;
  /** Iterates over messages; leaving the last loop unsubscribes. Each iterator gets every message. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
}

/**
 * What a client is doing. `disconnected`: it connects again by itself, or when there is something to do, or (after
 * `disconnect()`) when `connect()` is called. `failed`: the server refuses this client; `connect()` starts over.
 */
export type State = "connecting" | "connected" | "disconnected" | "failed" | "closed";

/** Why a state has changed. */
export interface Change {
  state: State;
  /** The close code of the WebSocket or the status of a response; 0 if there was none. */
  code: number;
  reason: string;
  /** Whether the client connects again by itself. */
  willRetry: boolean;
}

export interface AnnounceOptions {
  /** Announcing again with the same key announces once; a random one if none is given. */
  key?: string | undefined;
  /** Gives up after so many milliseconds; see `Refused.code` for whether it may have been announced. */
  timeout?: number | undefined;
  /** Gives up when it is aborted, with its reason. */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions {
  /** Gives up after so many milliseconds. */
  timeout?: number | undefined;
  /** Gives up when it is aborted, with its reason. */
  signal?: AbortSignal | undefined;
}

export interface CloseOptions {
  /** How long pending announcements may take, in milliseconds; 10,000. `Infinity` waits for all of them. */
  within?: number | undefined;
}

export interface FanoutOptions<T = string> {
  /** A token, or a function that gets one: called for each connection and before a token ends. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Encodes and decodes messages on all channels where no other codec is given. */
  codec?: Codec<T> | undefined;
  /** Called when the state changes. */
  onState?: ((change: Change) => void) | undefined;
  /** Called with each line that is sent or received and each change of state, for people to read; tokens are left out. */
  debug?: ((event: string) => void) | undefined;
  /** Used instead of the runtime's `WebSocket`. */
  WebSocket?: WebSocketConstructor | undefined;
  /** Used instead of the runtime's `fetch`. */
  fetch?: FetchLike | undefined;
}

/** The part of a client that subscribes; tests can pass in a fake. */
export interface Subscribable<Data = string> {
  /**
   * Subscribes to a channel.
   * @throws Error if an option or the channel is wrong
   */
  subscribe(channel: string, options?: SubscribeOptions<Data>): Subscription<Data>;
}

/** A client. */
export interface Fanout<Data = string> extends Subscribable<Data> {
  readonly state: State;
  /** Adds a listener for changes of state; returns a function that removes it. */
  on(kind: "state", listener: (change: Change) => void): () => void;
  /**
   * Subscribes to a channel. If the client has failed or is closed, the subscription ends at once, with the reason.
   * @throws Error if an option or the channel is wrong
   */
  subscribe<T>(channel: string, options: SubscribeOptions<T> & { codec: Codec<T> }): Subscription<T>;
  // The overload from which compilers infer `Data` is the last one.
  subscribe(channel: string, options?: SubscribeOptions<Data>): Subscription<Data>;
  /**
   * Announces a message, and repeats that under its key until the server replies.
   * @returns its position; undefined where the channel retains no messages
   * @throws Refused if the server refuses it, or it can't be known whether it was announced; Error if an input is wrong
   */
  announce<T>(
    channel: string,
    data: T,
    options: AnnounceOptions & { codec: Codec<T> },
  ): Promise<number | undefined>;
  announce(channel: string, data: Data, options?: AnnounceOptions): Promise<number | undefined>;
  /** Resolves when all earlier calls have taken effect, to the duration of a round trip in milliseconds. */
  ping(options?: RequestOptions): Promise<number>;
  /** Returns the server's figures. */
  info(options?: RequestOptions): Promise<Map<string, string>>;
  /** Returns the newest position that was received of a channel; undefined if it isn't known. */
  position(channel: string): number | undefined;
  /** Connects, also without anything to do; starts over after `disconnect()` and after a failure. */
  connect(): void;
  /** Goes offline until `connect()`; subscriptions keep their positions, announcements stay pending. */
  disconnect(): void;
  /** Ends the client for good, when pending announcements are settled or their time is over. */
  close(options?: CloseOptions): Promise<void>;
}

// --- what can be injected

/** A handler that may declare a more special event than it gets, as those of `WebSocket` do. */
type Handler<Event> = { call(event: Event): void }["call"] | null;

/** What the client uses of a `WebSocket`. */
export interface WebSocketLike {
  onmessage: Handler<{ data: unknown }>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<unknown>;
  send(data: string): void;
  close(code?: number): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** What the client passes to `fetch`. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** What the client uses of `fetch`. */
export type FetchLike = (url: string, init: FetchInit) => Promise<ResponseLike>;

export interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: {
    getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };
  } | null;
  text(): Promise<string>;
}

export type { Refused };
