/** Addresses of a server and of its channels, and with which token they are asked. */
import { urlOf as channelUrl, parseAddress, webSocketUrl } from "../client/address.ts";

export interface Address {
  /** The server's, as it was given. */
  url: string;
  token: string | undefined;
}

/** The URL of a channel; without a channel, what comes before one. */
export function urlOf(
  { url }: Address,
  scheme: "ws" | "http",
  channel: string,
  query: Record<string, string>,
): string {
  const search = new URLSearchParams(query).toString();
  const asked = `${channelUrl(parseAddress(url), channel)}${search === "" ? "" : `?${search}`}`;
  return scheme === "ws" ? webSocketUrl(asked) : asked;
}
