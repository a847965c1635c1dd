/** What a component has heard of a channel while it is there: gathered, so that a burst is rendered once. */
import type { Fanout, Gap, Message, SubscriptionState } from "../client/fanout.ts";

export interface Heard {
  /** The newest, the oldest of them first. */
  readonly messages: readonly Message[];
  /** Of the subscription. */
  readonly state: SubscriptionState;
  /** The newest, too: what was not to be had. */
  readonly gaps: readonly Gap[];
}

/** Something outside of React that a component can read, and be told of. */
export interface Store {
  /** Subscribes to the channel, and calls `changed` when there is something else to read; returns what ends both. */
  subscribe(changed: () => void): () => void;
  read(): Heard;
}

export const NOTHING: Heard = { messages: [], state: "subscribing", gaps: [] };

/** How long is gathered, in milliseconds: about a frame. Frames themselves stand still while a page is hidden. */
const GATHER = 16;

/** @param limit so many messages are held, and so many gaps */
export function storeOf(
  fanout: Pick<Fanout, "subscribe">,
  channel: string,
  last: number | undefined,
  limit: number,
): Store {
  let heard = NOTHING;
  const subscribe = (changed: () => void) => {
    // Who comes back begins anew: it may have missed something.
    heard = NOTHING;
    let fresh: Message[] = [];
    let { gaps, state } = NOTHING;
    let reached = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const messages = fresh.length === 0 ? heard.messages : newest([...heard.messages, ...fresh], limit);
      fresh = [];
      heard = { messages, state, gaps };
      changed();
    };
    const showSoon = () => {
      timer ??= setTimeout(show, GATHER);
    };
    const subscription = fanout.subscribe(channel, {
      last,
      onMessage: (message) => {
        const { position = reached + 1 } = message;
        // A subscription that comes right after another one may get what was kept for both.
        if (position <= reached) return;
        if (message.position !== undefined) reached = position;
        fresh.push(message);
        showSoon();
      },
      onGap: (gap) => {
        gaps = newest([...gaps, gap], limit);
        showSoon();
      },
      onState: (next) => {
        state = next;
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
