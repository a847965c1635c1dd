/** What a component shows of a channel: gathered, so that a burst of messages renders once. */
import type { Gap, Message, SubscribeOptions, SubscriptionState } from "../client/fanout.ts";

export interface View<Data> {
  /** The newest messages, the oldest of them first. */
  readonly messages: readonly Message<Data>[];
  /** The newest gaps. */
  readonly gaps: readonly Gap[];
  /** The state of the subscription; `unsubscribed` also while the hook isn't enabled. */
  readonly state: SubscriptionState;
  /** Why the subscription ended, if it failed. */
  readonly error: Error | undefined;
}

/** The part of a subscription that the hook uses. */
export interface Subscribed {
  unsubscribe(): void;
}

/** A source of views, as `useSyncExternalStore` takes it. */
export interface Store<Data> {
  /** The view on a server, and before anything was received. */
  readonly first: View<Data>;
  /** Subscribes, and calls `changed` when there is another view; returns a function that unsubscribes. */
  subscribe(changed: () => void): () => void;
  read(): View<Data>;
}

const NOTHING: View<never> = { messages: [], gaps: [], state: "subscribing", error: undefined };
const DISABLED: View<never> = { ...NOTHING, state: "unsubscribed" };

/** Never subscribes. */
export const DISABLED_STORE: Store<never> = {
  first: DISABLED,
  subscribe: () => () => {},
  read: () => DISABLED,
};

/** How long changes are gathered, in milliseconds: about a frame. Real frames stop while a page is hidden. */
const GATHER = 16;

/**
 * Returns the store of a channel. Each `subscribe` begins with an empty view, as messages may have been missed.
 * @param limit most messages, and most gaps, of a view
 */
export function storeOf<Data>(
  subscribe: (listeners: SubscribeOptions<Data>) => Subscribed,
  limit: number,
): Store<Data> {
  let view: View<Data> = NOTHING;
  const open = (changed: () => void) => {
    view = NOTHING;
    let fresh: Message<Data>[] = [];
    let { gaps, state, error } = view;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const messages = fresh.length === 0 ? view.messages : newest([...view.messages, ...fresh], limit);
      fresh = [];
      view = { messages, gaps, state, error };
      changed();
    };
    const showSoon = () => {
      timer ??= setTimeout(show, GATHER);
    };
    const subscription = subscribe({
      onMessage: (message) => {
        fresh.push(message);
        // Timers of hidden pages are late.
        if (fresh.length > 2 * limit) fresh = newest(fresh, limit);
        showSoon();
      },
      onGap: (gap) => {
        gaps = newest([...gaps, gap], limit);
        showSoon();
      },
      onState: (next, _, why) => {
        state = next;
        error = why;
        showSoon();
      },
    });
    return () => {
      clearTimeout(timer);
      subscription.unsubscribe();
    };
  };
  return { first: NOTHING, subscribe: open, read: () => view };
}

function newest<T>(all: T[], limit: number): T[] {
  return all.slice(Math.max(0, all.length - limit));
}
