/** What programs see of a client: without private members, which proxies, such as those of Vue, can't reach. */
import type { Client } from "./client.ts";
import { checkOptions } from "./inputs.ts";
import type { AnnounceOptions, Codec, Fanout, SubscribeOptions } from "./types.ts";

/** Messages as they are; what is no text is refused where every message is checked. */
const TEXT: Codec<unknown> = { encode: asIs, decode: asIs };

function asIs(data: unknown): string;
function asIs(data: unknown): unknown {
  return data;
}

/** Returns the codec of a call. Types see to it that its data is what `common` takes where there is no own one. */
function codecOf<T>(own: Codec<T> | undefined, common?: Codec<unknown>): Codec<T>;
function codecOf(own: Codec<unknown> | undefined, common = TEXT): Codec<unknown> {
  return own ?? common;
}

/** @param codec of all messages where no other one is given */
export function faceOf<Data>(client: Client, codec: Codec<Data> | undefined): Fanout<Data> {
  const common = codecOf(codec);
  return {
    get state() {
      return client.change.state;
    },
    on: (kind, listener) => client.on(kind, listener),
    subscribe: <T>(channel: string, options: SubscribeOptions<T> = {}) => {
      checkOptions(options);
      return client.subscribe(channel, options, codecOf(options.codec, common));
    },
    announce: async <T>(channel: string, data: T, options: AnnounceOptions & { codec?: Codec<T> } = {}) => {
      checkOptions(options);
      return client.announce(channel, data, options, codecOf(options.codec, common));
    },
    ping: async (options = {}) => client.ping(options),
    info: async (options = {}) => client.info(options),
    position: (channel) => client.position(channel),
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    close: async (options = {}) => client.close(options),
  };
}
