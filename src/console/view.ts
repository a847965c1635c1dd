/** The view in the address's fragment: `#news,sport;news` is two clients, the first one subscribed to both channels. */
import { channelFault } from "../protocol/channels.ts";

/** The channels of each client. */
export type View = string[][];

/** Limits of clients per page and channels per client, so that the page stays readable. */
export const MAX_CLIENTS = 8;
const MAX_CHANNELS = 20;

/**
 * Parses an address's fragment.
 * @param channel the channel of the two default clients, if the fragment names none
 */
export function parseView(fragment: string, channel: string): View {
  const clients = fragment.replace(/^#/, "").split(";").slice(0, MAX_CLIENTS);
  const view = clients.map((names) => parseChannels(names)).filter((names) => names.length > 0);
  return view.length > 0 ? view : [[channel], [channel]];
}

export function formatView(view: View): string {
  return `#${view.map((names) => names.map(encodeURIComponent).join(",")).join(";")}`;
}

function parseChannels(names: string): string[] {
  const channels = names.split(",").map(decoded);
  return [...new Set(channels)].filter((name) => channelFault(name) === undefined).slice(0, MAX_CHANNELS);
}

/** Decodes a name; invalid percent-encoding yields an empty, thus invalid name. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return "";
  }
}
