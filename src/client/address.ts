/** Addresses of servers, and of channels there. */
import { EVERYONE } from "../protocol/channels.ts";
import { type From, formatFrom } from "../protocol/positions.ts";
import { shown } from "./inputs.ts";

/** Where a server is: an `http:` or `https:` address without a slash at its end. */
export type Base = string;

/**
 * Parses the address of a server.
 * @param page the address of the page, to which an address may be relative
 * @throws Error if a client couldn't connect there
 */
export function parseAddress(address: unknown, page?: string): Base {
  const text = address instanceof URL ? address.href : address;
  const refuse = (why: string): never => {
    throw new TypeError(`the address ${shown(text)} ${why}; one looks like wss://fanout.example.workers.dev`);
  };
  if (typeof text !== "string" || text === "")
    return refuse("names no server, as if an environment variable were missing");
  const href = hrefOf(text, page) ?? refuse("can't be parsed, and there is no page to be relative to");
  // Parts of a URL can't be read everywhere; React Native has only the whole.
  const [, scheme = "", rest = ""] =
    /^(?:ws|http)(s?):\/\/(.+)$/.exec(href) ?? refuse("has no scheme of a server");
  if (/[?#@]/.test(rest)) refuse("has more than a host and a path");
  return `http${scheme}://${rest.replace(/\/+$/, "")}`;
}

function hrefOf(text: string, page: string | undefined): string | undefined {
  try {
    return new URL(text).href;
  } catch {
    // Pages that were opened from a file have nothing that an address could be relative to.
    return page?.startsWith("http") ? new URL(text, page).href : undefined;
  }
}

/** Whether a channel can be named in a path: clients and proxies resolve `.` and `..`. */
export function fitsPath(channel: string): boolean {
  return channel !== "." && channel !== "..";
}

/** The address of a channel, as `http:` or `https:`. */
export function urlOf(base: Base, channel: string, from?: From): string {
  return `${base}/${encodeURIComponent(channel)}${from ? `?${formatFrom(from).replace(" ", "=")}` : ""}`;
}

/** The same address for a WebSocket. */
export function webSocketUrl(url: string): string {
  return url.replace(/^http/, "ws");
}

/** The address at which a request asks whether a channel, or the server, lets a client in. */
export function pollOf(base: Base, channel = EVERYONE): string {
  return `${urlOf(base, channel)}?poll=`;
}
