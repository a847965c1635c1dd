/** A component's view of a channel's members. Changes are batched, so that a burst of them renders once. */
import type { Members, SubscriptionState } from "../client/fanout.ts";
import { BATCH_DELAY, type Store } from "./view.ts";

/** A member of a channel. The same object until its data changes. */
export interface Member {
  readonly member: string;
  /** "" without any. */
  readonly data: string;
}

export interface MembersView {
  /** The members: first those of the first list by name, then others as they entered. */
  readonly members: readonly Member[];
  /** `subscribed` while they are up to date; also `unsubscribed` if the hook is disabled. */
  readonly state: SubscriptionState;
  /** The error with which following them ended, if it failed. */
  readonly error: Error | undefined;
}

/** The part of `Members` that the hook uses. */
export type Followed = Pick<Members, "on" | "unsubscribe">;

const EMPTY: MembersView = { members: [], state: "subscribing", error: undefined };
const DISABLED: MembersView = { ...EMPTY, state: "unsubscribed" };

/** Never follows. */
export const DISABLED_MEMBERS: Store<MembersView> = {
  first: DISABLED,
  subscribe: () => () => {},
  read: () => DISABLED,
};

/** Returns the store of a channel's members. Each `subscribe` starts with an empty view. */
export function membersStoreOf(follow: () => Followed): Store<MembersView> {
  let view = EMPTY;
  const open = (changed: () => void) => {
    view = EMPTY;
    const members = new Map<string, Member>();
    let { members: shown, state, error } = view;
    let isStale = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      if (isStale) shown = [...members.values()];
      isStale = false;
      view = { members: shown, state, error };
      changed();
    };
    const showSoon = () => {
      timer ??= setTimeout(show, BATCH_DELAY);
    };
    const set = ({ member, data }: Member) => {
      members.set(member, { member, data });
      isStale = true;
      showSoon();
    };
    const followed = follow();
    followed.on("added", set);
    followed.on("updated", set);
    followed.on("removed", ({ member }) => {
      members.delete(member);
      isStale = true;
      showSoon();
    });
    followed.on("state", (change) => {
      ({ state, error } = change);
      showSoon();
    });
    return () => {
      // First, because it changes the state, which must not be shown any more.
      followed.unsubscribe();
      clearTimeout(timer);
    };
  };
  return { first: EMPTY, subscribe: open, read: () => view };
}
