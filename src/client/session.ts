/** One stay at a server, by whichever way: a WebSocket (`socket.ts`), or requests (`requests.ts`). */
import type { ErrorCode } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";

/** How long the server may take to answer at first, in milliseconds: a connection may die in silence. */
export const OPEN_WITHIN = 10_000;
/** Why a session ends where it does not. */
export const SILENT = "the server does not answer";

/** How a session has ended. */
export interface Ending {
  /** Of the WebSocket, or what would be that; 0 if there never was one. */
  code: number;
  reason: string;
  /** Whether to try again would be pointless. */
  isFinal: boolean;
  /** How long the server would have one wait, in milliseconds. */
  retryAfter?: number;
}

/** What a session tells. */
export interface Hearer {
  /** It can be used. */
  opened(): void;
  /** A channel is heard from here on: after a position, which is undefined where no history is kept. */
  located(channel: string, position: number | undefined): void;
  message(channel: string, text: string): void;
  gap(channel: string, from: number, to: number): void;
  /** A subscription was refused. */
  refused(channel: string, error: Refused): void;
  /** It is over, and tells nothing more. */
  ended(ending: Ending): void;
}

export interface Session {
  subscribe(channel: string, from: From): void;
  unsubscribe(channel: string): void;
  /**
   * Announces a message once, however often that is tried with the same key.
   * @returns its position; undefined where no history is kept
   * @throws Refused, or anything if the session ends before
   */
  announce(channel: string, text: string, key: string): Promise<number | undefined>;
  /** Ends when all that was asked for before has been answered. */
  ping(): Promise<void>;
  /** The figures of the server. */
  info(): Promise<Map<string, string>>;
  /** Puts a new token in the place of the one that it began with. */
  renew(token: string): void;
  /** Finds out, in a few seconds, whether the server is still there; ends if it is not. */
  check(): void;
  close(): void;
}

/** The server refused something; the message is the server's sentence. */
export class Refused extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string) {
    super(why);
    this.code = code;
  }
}

/** Where a server is, and with what one comes. */
export interface Address {
  /** `ws:`, `wss:`, `http:` or `https:`, and what is before the channel. */
  url: string;
  token: string | undefined;
}

/** A channel to hear from somewhere on. */
export interface Place {
  channel: string;
  from: From;
}

/** The query of an address that asks for a place. */
export function queryOf(from: From): Record<string, string> {
  return "since" in from ? { since: String(from.since) } : { last: String(from.last) };
}

/** The URL of a channel; `scheme` is "ws" or "http", to which an "s" is added where the server has one. */
export function urlOf(
  { url }: Address,
  scheme: string,
  channel: string,
  query: Record<string, string>,
): string {
  const address = new URL(url);
  address.pathname = `${address.pathname.replace(/\/$/, "")}/${encodeURIComponent(channel)}`;
  if (/wss:|https:/.test(url)) scheme += "s";
  address.protocol = scheme;
  address.search = String(new URLSearchParams(query));
  return address.href;
}
