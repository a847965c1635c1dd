/** The server that `fanout doctor` examines. */
import { randomBytes } from "node:crypto";
import { type Address, urlOf } from "../address.ts";
import { openSocket } from "../raw-socket.ts";
import { checkAddress, type ServerOptions } from "../server.ts";

/** Prefix of the channels that the checks use. */
export const CHANNELS = "doctor-";

/** What a server may have or lack, and other checks need. */
export type Capability = "answers" | "sockets" | "history";

export type Target = ReturnType<typeof targetAt>;

/** @throws Exit if the address isn't valid */
export function targetAt(url: string, { token, timeout: seconds }: ServerOptions) {
  checkAddress(url);
  const address: Address = { url, token };
  /** Time to wait for an answer, in milliseconds. */
  const timeout = seconds * 1_000;
  const ask = (asked: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    return fetch(asked, { ...init, headers, signal: AbortSignal.timeout(timeout) });
  };
  return {
    address,
    timeout,
    /** Capabilities found so far. */
    has: new Set<Capability>(),
    socket: (channel: string, query?: Record<string, string>) => openSocket(address, timeout, channel, query),
    /** Sends an HTTP request to a channel. */
    request: (channel: string, init?: RequestInit) => ask(urlOf(address, channel), init),
    /** Requests one of the operators' pages. */
    page: (name: string) => ask(`${urlOf(address, "")}-/${name}`),
  };
}

/** Returns an unused channel. */
export function newChannel(): string {
  return CHANNELS + randomBytes(6).toString("hex");
}
