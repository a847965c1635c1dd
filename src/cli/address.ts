/** Addresses of a server and its channels, with a token. */
import { urlOf as channelUrl, parseAddress, webSocketUrl } from "../client/address.ts";

export interface Address {
  /** The server's address, as the user gave it. */
  url: string;
  token: string | undefined;
}

/** Returns the URL of a channel; "" for the prefix of all channels' URLs. */
export function urlOf({ url }: Address, scheme: "ws" | "http", channel: string, query: Record<string, string>): string {
  const search = new URLSearchParams(query).toString();
  const asked = `${channelUrl(parseAddress(url), channel)}${search === "" ? "" : `?${search}`}`;
  return scheme === "ws" ? webSocketUrl(asked) : asked;
}
