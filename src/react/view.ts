/** A component's view of a channel. Changes are batched, so that a burst of messages renders once. */
import type { Gap, Message, SubscribeOptions, SubscriptionState } from "../client/fanout.ts";

export interface View<Data> {
  /** The newest messages, the oldest of them first. */
  readonly messages: readonly Message<Data>[];
  /** The newest gaps. */
  readonly gaps: readonly Gap[];
  /** The subscription's state; also `unsubscribed` if the hook is disabled. */
  readonly state: SubscriptionState;
  /** The error with which the subscription ended, if it failed. */
  readonly error: Error | undefined;
}

/** The part of a subscription that the hook uses. */
export interface Subscribed {
  unsubscribe(): void;
}

/** A store for `useSyncExternalStore`. */
export interface Store<View> {
  /** The view during server rendering, and before anything is received. */
  readonly first: View;
  /** Subscribes, and calls `changed` after each new view; returns a function that unsubscribes. */
  subscribe(changed: () => void): () => void;
  read(): View;
}

const EMPTY: View<never> = { messages: [], gaps: [], state: "subscribing", error: undefined };
const DISABLED: View<never> = { ...EMPTY, state: "unsubscribed" };

/** Never subscribes. */
export const DISABLED_STORE: Store<View<never>> = {
  first: DISABLED,
  subscribe: () => () => {},
  read: () => DISABLED,
};

/** How long changes are batched, in milliseconds: about a frame. Animation frames stop while a page is hidden. */
export const BATCH_DELAY = 16;

/**
 * Returns a channel's store. Each `subscribe` starts with an empty view, as messages may have been missed before.
 * @param limit most messages and gaps in a view
 */
export function storeOf<Data>(
  subscribe: (listeners: SubscribeOptions<Data>) => Subscribed,
  limit: number,
): Store<View<Data>> {
  let view: View<Data> = EMPTY;
  const open = (changed: () => void) => {
    view = EMPTY;
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
      timer ??= setTimeout(show, BATCH_DELAY);
    };
    const subscription = subscribe({
      onMessage: (message) => {
        fresh.push(message);
        // Hidden pages run timers late.
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
      // First, because it changes the state, which must not be shown any more: a view may be open again by then.
      subscription.unsubscribe();
      clearTimeout(timer);
    };
  };
  return { first: EMPTY, subscribe: open, read: () => view };
}

function newest<T>(all: T[], limit: number): T[] {
  return all.slice(Math.max(0, all.length - limit));
}
