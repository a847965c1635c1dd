/** What a component has heard of a channel while it is there: gathered, so that a burst is rendered once. */
import type { Gap, Message, Subscribable, SubscriptionState } from "../client/fanout.ts";

export interface Heard {
  /** The newest, the oldest of them first. */
  readonly messages: readonly Message[];
  /** Of the subscription. */
  readonly state: SubscriptionState;
  /** Why the channel cannot be heard. */
  readonly reason: string | undefined;
  /** The newest, too: what was not to be had. */
  readonly gaps: readonly Gap[];
}

/** Something outside of React that a component can read, and be told of. */
export interface Store {
  /** Subscribes to the channel, and calls `changed` when there is something else to read; returns what ends both. */
  subscribe(changed: () => void): () => void;
  read(): Heard;
}

export const NOTHING: Heard = { messages: [], state: "subscribing", reason: undefined, gaps: [] };

/** How long is gathered, in milliseconds: about a frame. Frames themselves stand still while a page is hidden. */
const GATHER = 16;

/** @param limit so many messages are held, and so many gaps */
export function storeOf(
  fanout: Subscribable,
  channel: string,
  last: number | undefined,
  limit: number,
): Store {
  let heard = NOTHING;
  const subscribe = (changed: () => void) => {
    // Who comes back begins anew: it may have missed something.
    heard = NOTHING;
    let fresh: Message[] = [];
    let { gaps, state, reason } = NOTHING;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const messages = fresh.length === 0 ? heard.messages : newest([...heard.messages, ...fresh], limit);
      fresh = [];
      heard = { messages, state, reason, gaps };
      changed();
    };
    const showSoon = () => {
      timer ??= setTimeout(show, GATHER);
    };
    const subscription = fanout.subscribe(channel, {
      last,
      onMessage: (message) => {
        fresh.push(message);
        showSoon();
      },
      onGap: (gap) => {
        gaps = newest([...gaps, gap], limit);
        showSoon();
      },
      onState: (next, why) => {
        state = next;
        reason = why;
        showSoon();
      },
    });
    return () => {
      subscription.unsubscribe();
      clearTimeout(timer);
    };
  };
  return { subscribe, read: () => heard };
}

function newest<T>(all: T[], limit: number): T[] {
  return all.slice(Math.max(0, all.length - limit));
}
