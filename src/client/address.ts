/** Addresses of servers and channels. */
import { demand } from "./inputs.ts";

/** Where a subscription starts, as in the protocol: `since 17`, `since now` or `last 20`. */
export type From = `${"since" | "last"} ${number}` | typeof NOW;

export const NOW = "since now";

/** A server's address: `http:` or `https:`, without a trailing slash. */
export type Base = string;

/**
 * Parses a server's address.
 * @param page the page's address, against which relative addresses are resolved
 * @throws TypeError if it isn't an address to which a client could connect
 */
export function parseAddress(address: unknown, page?: string): Base {
  const isGiven = address instanceof URL || (typeof address === "string" && address !== "");
  // React Native's URL has only `href`, so parse that.
  const [, scheme = "", rest] = /^(?:ws|http)(s?):\/\/([^?#@]+?)\/*$/.exec(isGiven ? hrefOf(address, page) : "") ?? [];
  // Don't show parts that could be secrets.
  const shown = isGiven ? String(address).replace(/[^/]*@|[?#].*/g, "…") : address;
  demand(rest !== undefined, "the address", shown, "ws://host or wss://host/path");
  return `http${scheme}://${rest}`;
}

function hrefOf(address: string | URL, page: string | undefined): string {
  try {
    return new URL(address, page).href;
  } catch {
    return "";
  }
}

/** Returns the `http:` or `https:` address of a channel. */
export function urlOf(base: Base, channel: string, from?: From): string {
  return `${base}/${encodeURIComponent(channel)}${from ? `?${from.replace(" ", "=")}` : ""}`;
}

/** Returns the same address for a WebSocket. */
export function webSocketUrl(url: string): string {
  return url.replace(/^http/, "ws");
}
