/** Addresses of a server and its channels, with a token. */
import { urlOf as channelUrl, parseAddress } from "../client/address.ts";

export interface Address {
  /** The server's address, as the user gave it. */
  url: string;
  token: string | undefined;
}

/** Returns the HTTP URL of a channel; "" for the prefix of all channels' URLs. */
export function urlOf({ url }: Address, channel: string): string {
  return channelUrl(parseAddress(url), channel);
}
