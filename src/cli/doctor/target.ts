/** The server that `fanout doctor` examines. */
import { randomBytes } from "node:crypto";
import { type Address, urlOf } from "../address.ts";
import { RawSocket } from "../raw-socket.ts";
import { checkAddress, type Server, type ServerOptions, serverAt } from "../server.ts";

/** Prefix of the channels that the checks use. */
export const CHANNELS = "doctor-";

/** What a server may have or lack, and other checks need. */
export type Capability = "answers" | "sockets" | "history";

export interface Target {
  address: Address;
  /** Time to wait for an answer, in milliseconds. */
  timeout: number;
  /** Capabilities found so far. */
  has: Set<Capability>;
  /** Opens a connection of the client library. */
  server(): Server;
  socket(channel: string, query?: Record<string, string>): Promise<RawSocket>;
  /** Sends an HTTP request to a channel. */
  request(channel: string, init?: RequestInit): Promise<Response>;
  /** Requests one of the operators' pages. */
  page(name: string): Promise<Response>;
}

/** @throws Exit if the address isn't valid */
export function targetAt(url: string, options: ServerOptions): Target {
  checkAddress(url);
  const address: Address = { url, token: options.token };
  const timeout = options.timeout * 1_000;
  const ask = (asked: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (address.token !== undefined) headers.set("Authorization", `Bearer ${address.token}`);
    return fetch(asked, { ...init, headers, signal: AbortSignal.timeout(timeout) });
  };
  return {
    address,
    timeout,
    has: new Set(),
    server: () => serverAt(url, options),
    socket: (channel, query) => RawSocket.open(address, timeout, channel, query),
    request: (channel, init) => ask(urlOf(address, channel), init),
    page: (name) => ask(`${urlOf(address, "")}-/${name}`),
  };
}

/** Returns an unused channel. */
export function newChannel(): string {
  return CHANNELS + randomBytes(6).toString("hex");
}
