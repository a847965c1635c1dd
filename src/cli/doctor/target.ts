/** A server that is looked at by `fanout doctor`. */
import { randomBytes } from "node:crypto";
import { type Address, urlOf } from "../address.ts";
import { Wire } from "../raw-socket.ts";
import { checkAddress, type Server, type ServerOptions, serverAt } from "../server.ts";

/** Channels that begin so are used. */
export const CHANNELS = "doctor-";

/** What a server may have or lack, on which others of its parts depend. */
export type Part = "answers" | "sockets" | "history";

export interface Patient {
  address: Address;
  /** How long it may take for an answer, in milliseconds. */
  patience: number;
  /** What it has turned out to have. */
  has: Set<Part>;
  /** A server as the client library sees it. */
  server(): Server;
  wire(channel: string, query?: Record<string, string>): Promise<Wire>;
  /** Asks by HTTP on a channel. */
  request(channel: string, init?: RequestInit): Promise<Response>;
  /** Asks one of the server's own pages. */
  page(name: string): Promise<Response>;
}

/** @throws Exit if that is no address */
export function patientAt(url: string, options: ServerOptions): Patient {
  checkAddress(url);
  const address: Address = { url, token: options.token };
  const patience = options.timeout * 1_000;
  const ask = (asked: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (address.token !== undefined) headers.set("Authorization", `Bearer ${address.token}`);
    return fetch(asked, { ...init, headers, signal: AbortSignal.timeout(patience) });
  };
  return {
    address,
    patience,
    has: new Set(),
    server: () => serverAt(url, options),
    wire: (channel, query) => Wire.open(address, patience, channel, query),
    request: (channel, init) => ask(urlOf(address, "http", channel, {}), init),
    page: (name) => ask(`${urlOf(address, "http", "", {})}-/${name}`),
  };
}

/** A channel that nobody else uses. */
export function newChannel(): string {
  return CHANNELS + randomBytes(6).toString("hex");
}
