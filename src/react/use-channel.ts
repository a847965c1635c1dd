/** Channels in function components of React. */
import { useMemo, useSyncExternalStore } from "react";
import type { Subscribable } from "../client/fanout.ts";
import { type Heard, NOTHING, storeOf } from "./heard.ts";

export type { Heard } from "./heard.ts";

export interface ChannelOptions {
  /** So many of the newest messages come first, unless the client hears the channel already. */
  last?: number | undefined;
  /** Messages that are held, the newest; 100 if nothing is said. */
  limit?: number | undefined;
}

const LIMIT = 100;

/**
 * What comes on a channel from when the component is there, and until it is not. Another client, channel or option
 * begins anew.
 * @throws Error, for an error boundary, if that is no channel's name
 */
export function useChannel(
  fanout: Subscribable,
  channel: string,
  { last, limit = LIMIT }: ChannelOptions = {},
): Heard {
  const store = useMemo(() => storeOf(fanout, channel, last, limit), [fanout, channel, last, limit]);
  return useSyncExternalStore(store.subscribe, store.read, () => NOTHING);
}
