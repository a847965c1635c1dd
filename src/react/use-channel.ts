/** The React hook for a channel. */
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { AnnounceOptions, Codec, SubscribeOptions } from "../client/fanout.ts";
import { checkOptions, demand } from "../client/inputs.ts";
import { DISABLED_STORE, type Subscribed, storeOf, type View } from "./view.ts";

export interface ChannelOptions<Data = string>
  extends Pick<SubscribeOptions<Data>, "since" | "last" | "codec" | "onMessage" | "onInvalid"> {
  /** Subscribes only while true; default: true. */
  enabled?: boolean | undefined;
  /** Most messages and gaps in the view, at least 1; the newest 100, or `last` if that is more. */
  limit?: number | undefined;
}

/** What the hook returns. */
export interface ChannelView<Data = string> extends View<Data> {
  /** Announces on the channel, as the client's `announce` does. Stable while client and channel stay the same. */
  readonly announce: (data: Data, options?: AnnounceOptions) => Promise<number | undefined>;
}

type AndCodec<Options, Data> = Options & { codec: Codec<Data> };

/** The part of a client that the hook uses; tests can pass in a fake. */
export interface ChannelClient<Data = string> {
  subscribe(channel: string, options: SubscribeOptions<Data>): Subscribed;
  announce(channel: string, data: Data, options: AnnounceOptions): Promise<number | undefined>;
}

/** The part of a client that the hook uses if it has its own codec. */
export interface CodecClient<Data> {
  subscribe(channel: string, options: AndCodec<SubscribeOptions<Data>, Data>): Subscribed;
  announce(channel: string, data: Data, options: AndCodec<AnnounceOptions, Data>): Promise<number | undefined>;
}

const LIMIT = 100;

/**
 * Subscribes to a channel while the component is mounted. A change of client, channel, `last`, `limit` or `enabled`
 * resubscribes. `since` and `codec` are read when subscribing, so like the callbacks they may differ in each render.
 * @throws Error, for an error boundary, if the channel or an option is invalid
 */
export function useChannel<Data>(
  fanout: CodecClient<NoInfer<Data>>,
  channel: string,
  options: AndCodec<ChannelOptions<Data>, Data>,
): ChannelView<Data>;
export function useChannel<Data = string>(
  fanout: ChannelClient<Data>,
  channel: string,
  options?: ChannelOptions<NoInfer<Data>>,
): ChannelView<Data>;
export function useChannel<Data>(
  fanout: ChannelClient<Data>,
  channel: string,
  options: ChannelOptions<Data> = {},
): ChannelView<Data> {
  checkOptions(options);
  const { last, limit = Math.max(LIMIT, last ?? 0), enabled = true } = options;
  demand(Number.isSafeInteger(limit) && limit > 0, "the option `limit`", limit, "a whole number from 1 up");
  const latest = useRef(options);
  // Must run before the effect that subscribes.
  useEffect(() => {
    latest.current = options;
  });
  const store = useMemo(() => {
    if (!enabled) return DISABLED_STORE;
    return storeOf<Data>(({ onMessage, ...listeners }) => {
      const { since, codec } = latest.current;
      return fanout.subscribe(channel, {
        ...listeners,
        since,
        last,
        codec,
        onMessage: (message) => {
          onMessage?.(message);
          latest.current.onMessage?.(message);
        },
        onInvalid: (invalid) => latest.current.onInvalid?.(invalid),
      });
    }, limit);
  }, [fanout, channel, last, limit, enabled]);
  const view = useSyncExternalStore<View<Data>>(store.subscribe, store.read, () => store.first);
  const announce = useCallback(
    async (data: Data, options: AnnounceOptions = {}) => {
      checkOptions(options);
      const { codec } = latest.current;
      return fanout.announce(channel, data, { ...options, ...(codec && { codec }) });
    },
    [fanout, channel],
  );
  return useMemo(() => ({ ...view, announce }), [view, announce]);
}
