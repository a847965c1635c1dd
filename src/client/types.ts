/** The client's public types. They are interfaces, so that tests can pass in fakes. */
import type { Refused } from "./errors.ts";

/** Converts data to one line of text and back. */
export interface Codec<T> {
  /** Encodes data; its errors reject `announce`. */
  encode(data: T): string;
  /** Decodes a message; its errors go to `onInvalid`, and the message is skipped. */
  decode(text: string): T;
}

/** A schema as specified at https://standardschema.dev. */
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
  /** The message as announced. */
  text: string;
  /** The decoded text; the text itself without a codec. */
  data: T;
  /** Undefined if the channel retains no messages. */
  position: number | undefined;
}

/** Missed messages after `from`, up to `to`; both are undefined if the channel retains no messages. */
export interface Gap {
  channel: string;
  from: number | undefined;
  to: number | undefined;
}

export type SubscriptionState = "subscribing" | "subscribed" | "unsubscribed";

export interface SubscriptionChange {
  state: SubscriptionState;
  /** The error with which the subscription ended, if it failed. */
  error: Error | undefined;
}

export interface SubscriptionEvents<T = string> {
  message: Message<T>;
  gap: Gap;
  position: number;
  state: SubscriptionChange;
  invalid: InvalidMessage;
}

/** A message that the codec can't decode. */
export interface InvalidMessage {
  error: Error;
  channel: string;
  text: string;
  position: number | undefined;
}

export interface SubscribeOptions<T = string> {
  /** Resumes after this position: missed messages come first. */
  since?: number | undefined;
  /** Starts with this many of the newest messages, at least 1, if `since` isn't given. */
  last?: number | undefined;
  /** Decodes messages; by default they are text. */
  codec?: Codec<T> | undefined;
  /** Called for each message, after the subscription's position has advanced. */
  onMessage?: ((message: Message<T>) => void) | undefined;
  /** Called for missed messages that are no longer available. */
  onGap?: ((gap: Gap) => void) | undefined;
  /** Called with each new position. */
  onPosition?: ((position: number) => void) | undefined;
  /** Called when the state changes; if the subscription failed, also with the reason and the error. */
  onState?: ((state: SubscriptionState, reason?: string, error?: Error) => void) | undefined;
  /** Called for a message that the codec can't decode; the message is skipped. */
  onInvalid?: ((invalid: InvalidMessage) => void) | undefined;
  /** Unsubscribes on abort; loops over the subscription then end. */
  signal?: AbortSignal | undefined;
  /** Most buffered messages of an iterator, or before there is one; default: 1,000, or twice `last` if that is more. */
  buffer?: number | undefined;
  /** On overflow, ends the subscription with an error (`end`, the default), or drops the oldest messages, which is a gap. */
  overflow?: "end" | "oldest" | undefined;
}

/** One subscription. Iterate over it, or give callbacks. */
export interface Subscription<T = string> extends AsyncIterable<Message<T>> {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** The newest delivered message's position; undefined until known, and if the channel retains no messages. */
  readonly position: number | undefined;
  /** Adds a listener; returns a function that removes it. */
  on<K extends keyof SubscriptionEvents>(kind: K, listener: (event: SubscriptionEvents<T>[K]) => void): () => void;
  /** Ends the subscription; loops over it end after the buffered messages. */
  unsubscribe(): void;
  /** Iterates over messages. Each iterator gets every message; leaving the last loop unsubscribes. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message<T>>;
}

export interface EnterOptions {
  /**
   * Called if the presence ends though `leave` wasn't called: the server refused to let the client enter again, after a
   * reconnect or with a new token, or the client failed.
   */
  onEnd?: ((error: Refused) => void) | undefined;
}

/** A change of a channel's members. */
export interface MemberChange {
  kind: "added" | "updated" | "removed";
  channel: string;
  member: string;
  /** The member's data; "" without any. Of a removed member, its last. */
  data: string;
}

export interface MembersEvents {
  added: MemberChange;
  updated: MemberChange;
  removed: MemberChange;
  state: SubscriptionChange;
}

/** The members of a channel, kept up to date. */
export interface Members extends AsyncIterable<MemberChange> {
  readonly channel: string;
  /** `subscribed` while `current` is up to date, `subscribing` until then and while disconnected. */
  readonly state: SubscriptionState;
  /** The data of each member; "" without any. The same map at all times, updated before its events. */
  readonly current: ReadonlyMap<string, string>;
  /** Resolves when `current` is complete for the first time, or after `unsubscribe`; rejects if that fails. */
  readonly ready: Promise<void>;
  /** Adds a listener; returns a function that removes it. */
  on<K extends keyof MembersEvents>(kind: K, listener: (event: MembersEvents[K]) => void): () => void;
  /** Ends the updates. */
  unsubscribe(): void;
  /** Iterates over changes; the first ones add the current members. Leaving the last loop unsubscribes. */
  [Symbol.asyncIterator](): AsyncIterableIterator<MemberChange>;
}

/**
 * A client's state. `disconnected`: it reconnects by itself if there is something to do, or after `disconnect()` when
 * `connect()` is called. `failed`: the server refuses this client; `connect()` starts over, or `setToken()` if the token was revoked.
 */
export type State = "connecting" | "connected" | "disconnected" | "failed" | "closed";

/** A change of state, and its reason. */
export interface Change {
  state: State;
  /** The WebSocket's close code or the HTTP status; 0 if there was none. */
  code: number;
  reason: string;
  /** Whether the client reconnects by itself. */
  willRetry: boolean;
}

export interface AnnounceOptions {
  /** The idempotency key: a repetition with the same key announces nothing. Default: random. */
  key?: string | undefined;
  /** Gives up after this many milliseconds. `Refused.code` then shows whether the message may have been announced. */
  timeout?: number | undefined;
  /** Gives up on abort, with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions {
  /** Gives up after this many milliseconds. */
  timeout?: number | undefined;
  /** Gives up on abort, with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface CloseOptions {
  /** How long to wait for pending announcements, in milliseconds; default: 10,000. `Infinity` waits for all of them. */
  within?: number | undefined;
}

/** A token, or a function that returns one. */
export type TokenSource = string | (() => string | Promise<string>);

export interface FanoutOptions<T = string> {
  /** A token, or a function that returns one, called for each connection and before a token expires. */
  token?: TokenSource | undefined;
  /** Encodes and decodes messages wherever no other codec is given. */
  codec?: Codec<T> | undefined;
  /** Called when the state changes. */
  onState?: ((change: Change) => void) | undefined;
  /** Called with each frame and each attempt to connect, for people to read; tokens are left out. */
  debug?: ((event: string) => void) | undefined;
  /** Most lines sent per second; 8,000 by default, as a server accepts 10,000 unless LINES_PER_SECOND is set. */
  rate?: number | undefined;
  /** Replaces the runtime's `WebSocket`. */
  WebSocket?: WebSocketConstructor | undefined;
  /** Replaces the runtime's `fetch`. */
  fetch?: FetchLike | undefined;
}

/** The part of a client that subscribes; tests can pass in a fake. */
export interface Subscribable<Data = string> {
  /**
   * Subscribes to a channel.
   * @throws Error if an option or the channel is invalid
   */
  subscribe(channel: string, options?: SubscribeOptions<Data>): Subscription<Data>;
}

/** A client. */
export interface Fanout<Data = string> extends Subscribable<Data> {
  readonly state: State;
  /** Adds a listener for changes of state; returns a function that removes it. */
  on(kind: "state", listener: (change: Change) => void): () => void;
  /**
   * Subscribes to a channel. If the client has failed or is closed, the subscription ends at once, with that error.
   * @throws Error if an option or the channel is invalid
   */
  subscribe<T>(channel: string, options: SubscribeOptions<T> & { codec: Codec<T> }): Subscription<T>;
  // Compilers infer `Data` from the last overload.
  subscribe(channel: string, options?: SubscribeOptions<Data>): Subscription<Data>;
  /**
   * Announces a message, and retries with its key until the server replies.
   * @returns its position; undefined if the channel retains no messages
   * @throws Refused if the server refuses it or its outcome is unknown; Error if an argument is invalid
   */
  announce<T>(channel: string, data: T, options: AnnounceOptions & { codec: Codec<T> }): Promise<number | undefined>;
  announce(channel: string, data: Data, options?: AnnounceOptions): Promise<number | undefined>;
  /**
   * Makes this client present in a channel as `member`, until `leave`: after each reconnect it enters again. Entering as
   * the same member with other data updates that; entering as another member leaves the first. A call replaces an earlier
   * one that is pending, and both settle together.
   * @param data one line of text that all members see, up to 1,024 bytes; for objects use `JSON.stringify`
   * @throws Refused if the server refuses it for good, which changes nothing, or `leave` is called; Error if an argument is
   *   invalid
   */
  enter(channel: string, member: string, data?: string, options?: EnterOptions): Promise<void>;
  /** Ends this client's presence in a channel at once. Resolves when the server has announced that, or isn't connected. */
  leave(channel: string): Promise<void>;
  /**
   * Follows the members of a channel. If the client has failed or is closed, it ends at once, with that error.
   * @throws Error if the channel is invalid
   */
  members(channel: string): Members;
  /** Resolves when all earlier calls have taken effect, with the round-trip time in milliseconds. */
  ping(options?: RequestOptions): Promise<number>;
  /** Returns the server's figures. */
  info(options?: RequestOptions): Promise<Map<string, string>>;
  /** Returns the newest known position of a channel; undefined if none is known. */
  position(channel: string): number | undefined;
  /**
   * Connects, even with nothing to do; starts over after `disconnect()` and after a failure.
   * @throws Refused if the client is closed, or its token was revoked
   */
  connect(): void;
  /**
   * Replaces the token, or the function that returns one, and reconnects with it. After a failure, such as a revoked token,
   * the client starts over: subscriptions and presences that survived continue.
   * @throws Error if it is no token; Refused if the client is closed
   */
  setToken(token: TokenSource): void;
  /** Goes offline until `connect()`. Subscriptions keep their positions, and announcements stay pending. */
  disconnect(): void;
  /** Closes the client for good, after pending announcements are settled or the timeout has expired. */
  close(options?: CloseOptions): Promise<void>;
}

// --- injected dependencies

/** A handler whose parameter may be a more specific event, as with `WebSocket`. */
type Handler<Event> = { call(event: Event): void }["call"] | null;

/** The part of `WebSocket` that the client uses. */
export interface WebSocketLike {
  onmessage: Handler<{ data: unknown }>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<unknown>;
  send(data: string): void;
  close(code?: number): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** The client's options for `fetch`. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** The part of `fetch` that the client uses. */
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
