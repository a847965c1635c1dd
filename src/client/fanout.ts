/**
 * The client library. A client counts messages, so after a failure it resumes every channel exactly where it was, and
 * reports missed messages that are no longer available as gaps.
 */
import { Client } from "./client.ts";
import type { Codec, Fanout as FanoutClient, FanoutOptions } from "./types.ts";

export type { ErrorCode } from "../protocol/errors.ts";
export { json } from "./codec.ts";
export { Refused } from "./errors.ts";
export type {
  AnnounceOptions,
  Change,
  CloseOptions,
  Codec,
  EnterOptions,
  FanoutOptions,
  FetchInit,
  FetchLike,
  Gap,
  InvalidMessage,
  MemberChange,
  Members,
  MembersEvents,
  Message,
  RequestOptions,
  ResponseLike,
  StandardSchema,
  State,
  Subscribable,
  SubscribeOptions,
  Subscription,
  SubscriptionChange,
  SubscriptionEvents,
  SubscriptionState,
  TokenSource,
  WebSocketConstructor,
  WebSocketLike,
} from "./types.ts";

/** A client. An interface, so that tests can pass in a fake. */
export type Fanout<Data = string> = FanoutClient<Data>;

export interface FanoutConstructor {
  /**
   * Creates a client, which connects when there is something to do.
   * @param address the server's: `wss://…` or `https://…`, or relative to the page
   * @throws Error if the address or an option is invalid
   */
  new <T>(address: string | URL, options: FanoutOptions<T> & { codec: Codec<T> }): Fanout<T>;
  new (address: string | URL, options?: FanoutOptions): Fanout;
}

export const Fanout: FanoutConstructor = Client;
