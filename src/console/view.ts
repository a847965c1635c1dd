/** What is seen, as the address says it behind its `#`: `#news,sport;news` is two clients, of which one hears both channels. */
import { channelFault } from "../protocol/channels.ts";

/** The channels of each client. */
export type View = string[][];

/** Clients that fit on a page, and channels of one that anybody can follow. */
export const MOST_CLIENTS = 8;
const MOST_CHANNELS = 20;

/**
 * Reads the fragment of an address.
 * @param channel that two clients hear where it says nothing
 */
export function readView(fragment: string, channel: string): View {
  const clients = fragment.replace(/^#/, "").split(";").slice(0, MOST_CLIENTS);
  const view = clients.map((names) => readChannels(names)).filter((names) => names.length > 0);
  return view.length > 0 ? view : [[channel], [channel]];
}

export function formatView(view: View): string {
  return `#${view.map((names) => names.map(encodeURIComponent).join(",")).join(";")}`;
}

function readChannels(names: string): string[] {
  const channels = names.split(",").map(decoded);
  return [...new Set(channels)].filter((name) => channelFault(name) === undefined).slice(0, MOST_CHANNELS);
}

/** What is not percent-encoded names no channel. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return "";
  }
}
