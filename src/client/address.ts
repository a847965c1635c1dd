/** Addresses of servers, and of channels there. */
import { demand } from "./inputs.ts";

/** From where on the server sends a channel, in its own words: `since 17`, `since now` or `last 20`. */
export type From = `${"since" | "last"} ${number}` | typeof NOW;

export const NOW = "since now";

/** Where a server is: an `http:` or `https:` address without a slash at its end. */
export type Base = string;

/**
 * Parses the address of a server.
 * @param page the address of the page, to which an address may be relative
 * @throws TypeError if a client couldn't connect there
 */
export function parseAddress(address: unknown, page?: string): Base {
  const isGiven = address instanceof URL || (typeof address === "string" && address !== "");
  // Parts of a URL can't be read everywhere; React Native has only the whole.
  const [, scheme = "", rest] =
    /^(?:ws|http)(s?):\/\/([^?#@]+?)\/*$/.exec(isGiven ? hrefOf(address, page) : "") ?? [];
  const what = "a host, with a path at most, such as wss://host/path";
  demand(rest !== undefined, "the address", isGiven ? String(address) : address, what);
  return `http${scheme}://${rest}`;
}

function hrefOf(address: string | URL, page: string | undefined): string {
  try {
    return new URL(address, page).href;
  } catch {
    return "";
  }
}

/** The address of a channel, as `http:` or `https:`. */
export function urlOf(base: Base, channel: string, from?: From): string {
  return `${base}/${encodeURIComponent(channel)}${from ? `?${from.replace(" ", "=")}` : ""}`;
}

/** The same address for a WebSocket. */
export function webSocketUrl(url: string): string {
  return url.replace(/^http/, "ws");
}
