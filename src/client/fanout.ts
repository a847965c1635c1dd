/**
 * The client library. A client counts messages, so it resumes exactly where it was on every channel after whatever
 * breaks; messages that can't be had are reported as gaps.
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
  FanoutOptions,
  FetchInit,
  FetchLike,
  Gap,
  InvalidMessage,
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
  WebSocketConstructor,
  WebSocketLike,
} from "./types.ts";

/** A client. It is an interface, so that a test can pass in a fake. */
export type Fanout<Data = string> = FanoutClient<Data>;

export interface FanoutConstructor {
  /**
   * Makes a client, which connects when there is something to do.
   * @param address of the server: `wss://…` or `https://…`, or relative to the page
   * @throws Error if the address or an option is wrong
   */
  new (address: string | URL, options?: FanoutOptions & { codec?: undefined }): Fanout;
  new <T>(address: string | URL, options: FanoutOptions<T> & { codec: Codec<T> }): Fanout<T>;
}

export const Fanout: FanoutConstructor = Client;
