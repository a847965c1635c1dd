/** The React hook for the members of a channel. */
import { useMemo, useSyncExternalStore } from "react";
import { checkOptions } from "../client/inputs.ts";
import { DISABLED_MEMBERS, type Followed, type MembersView, membersStoreOf } from "./members-view.ts";

export interface MembersOptions {
  /** Follows the members only while true; default: true. */
  enabled?: boolean | undefined;
}

/** The part of a client that the hook uses; tests can pass in a fake. */
export interface MembersClient {
  members(channel: string): Followed;
}

/**
 * Follows the members of a channel while the component is mounted. A change of client, channel or `enabled` starts over.
 * @throws Error, for an error boundary, if the channel or an option is invalid
 */
export function useMembers(fanout: MembersClient, channel: string, options: MembersOptions = {}): MembersView {
  checkOptions(options);
  const { enabled = true } = options;
  const store = useMemo(
    () => (enabled ? membersStoreOf(() => fanout.members(channel)) : DISABLED_MEMBERS),
    [fanout, channel, enabled],
  );
  return useSyncExternalStore(store.subscribe, store.read, () => store.first);
}
