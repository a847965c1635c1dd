/** A client: its channels, its announcements, and the connection that both use. */
import { EVERYONE } from "../protocol/channels.ts";
import { fitsPath, parseAddress } from "./address.ts";
import { announce } from "./announcing.ts";
import { Channel } from "./channel.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import { Refused } from "./errors.ts";
import { checkChannel, checkKey, checkListener, checkOptions, checkText } from "./inputs.ts";
import { SendLimits } from "./limits.ts";
import { add, call, type Listeners, tell } from "./listeners.ts";
import { Outbox, type Pending } from "./outbox.ts";
import { Questions } from "./questions.ts";
import type { Transport } from "./socket.ts";
import { Subscriber } from "./subscription.ts";
import { Tokens } from "./token.ts";
import type { Home } from "./transport.ts";
import type {
  AnnounceOptions,
  Change,
  CloseOptions,
  Codec,
  FanoutOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from "./types.ts";
import type { Cancel, World } from "./world.ts";

/** How long a connection stays open that nothing needs, in milliseconds. */
const IDLE = 60_000;

/** How long `close` waits for announcements, in milliseconds, if nothing else is given. */
const CLOSE_WITHIN = 10_000;

/** Most channels that are remembered as ones to which this client can't connect. */
const MOST_REMEMBERED = 1_000;

export class Client {
  readonly #world: World;
  readonly #channels = new Map<string, Channel>();
  readonly #outbox: Outbox;
  readonly #questions: Questions;
  readonly #connection: Connection;
  readonly #listeners: Listeners<Change> = new Set();
  #change: Change = { state: "disconnected", code: 0, reason: "", willRetry: true };
  #transport: Transport | undefined;
  /** Why the client takes nothing more: it has failed, or was closed. */
  #ending: Refused | undefined;
  #isClosing = false;
  /** Whether it stays offline until `connect`. */
  #isPaused = false;
  /** The number of the next announcement. */
  #sequence = 0;
  /** Resolves the promises of `close`. */
  #emptied: (() => void)[] = [];
  readonly #refusedHomes = new Set<string>();
  #cancelIdle: Cancel | undefined;

  /** @throws Error if the address or an option is wrong */
  constructor(world: World, address: unknown, options: Omit<FanoutOptions, "codec">) {
    const { token, onState, debug } = options;
    const base = parseAddress(address, world.location);
    checkOptions(options);
    if (!world.WebSocket && !world.fetch)
      throw new TypeError("there is neither `WebSocket` nor `fetch`; pass one in");
    this.#world = world;
    if (onState) add(this.#listeners, onState);
    const limits = new SendLimits(world);
    const announced = ({ channel }: Pending, position: number | undefined) => {
      if (position !== undefined) this.#channels.get(channel)?.expect(position);
    };
    this.#outbox = new Outbox(world, limits, announced, () => this.#noticed());
    this.#questions = new Questions(world, {
      oldest: () => this.#outbox.oldest,
      channels: () => this.#channels.values(),
    });
    this.#connection = new Connection({
      world,
      base,
      tokens: new Tokens(world, token),
      limits,
      debug: debug && ((event) => call(() => debug(event))),
      events: this.#events(),
    });
  }

  #events(): ConnectionEvents {
    return {
      home: () => this.#home(),
      opened: (transport, home) => this.#opened(transport, home),
      lost: (isTooBig) => this.#lost(isTooBig),
      located: (channel, position) => this.#channels.get(channel)?.located(position),
      message: (channel, text) => this.#channels.get(channel)?.message(text),
      refused: (channel, error) => this.#channels.get(channel)?.refused(error),
      homeRefused: (channel, error) => this.#homeRefused(channel, error),
      changed: (change) => this.#become(change),
      failed: (error, code) => this.#fail(error, code),
    };
  }

  get change(): Change {
    return this.#change;
  }

  on(kind: unknown, listener: (change: Change) => void): () => void {
    if (kind !== "state") throw new TypeError('a client has the event "state" only');
    checkListener(listener);
    return add(this.#listeners, listener);
  }

  // --- what programs ask for

  subscribe<T>(channel: unknown, options: SubscribeOptions<T>, codec: Codec<T>): Subscription<T> {
    const name = checkChannel(channel);
    const leave = () => this.#leave(subscriber);
    const subscriber: Subscriber<T> = new Subscriber(this.#world, name, options, codec, leave);
    const ending = this.#ending;
    if (ending) queueMicrotask(() => subscriber.end(ending));
    else if (options.signal?.aborted) queueMicrotask(() => subscriber.end(undefined));
    else this.#join(subscriber);
    return subscriber.face;
  }

  #join<T>(subscriber: Subscriber<T>): void {
    const name = subscriber.channel;
    const known = this.#channels.get(name);
    const channel = known ?? new Channel(this.#world, name, () => this.#noticed());
    this.#channels.set(name, channel);
    channel.add(subscriber);
    if (!known && this.#transport) {
      this.#outbox.flush();
      channel.begin(this.#transport, undefined);
    }
    this.#need();
  }

  #leave<T>(subscriber: Subscriber<T>): void {
    const name = subscriber.channel;
    const channel = this.#channels.get(name);
    if (!channel?.remove(subscriber)) return;
    this.#channels.delete(name);
    this.#transport?.unsubscribe(name);
    this.#rest();
  }

  async announce<T>(
    channel: unknown,
    data: T,
    options: AnnounceOptions,
    codec: Codec<T>,
  ): Promise<number | undefined> {
    const name = checkChannel(channel);
    const key = checkKey(options.key === undefined ? this.#world.newKey() : options.key);
    const text = checkText(codec.encode(data));
    if (options.signal?.aborted) throw options.signal.reason;
    if (this.#ending) throw this.#ending;
    this.#sequence += 1;
    const announced = announce(
      this.#world,
      this.#outbox,
      { channel: name, text, key, sequence: this.#sequence },
      options,
    );
    this.#need();
    return announced;
  }

  async ping(options: RequestOptions): Promise<number> {
    return this.#ask(options, async (transport) => {
      const began = this.#world.now();
      await transport.ping();
      return this.#world.now() - began;
    });
  }

  async info(options: RequestOptions): Promise<Map<string, string>> {
    return this.#ask(options, (transport) => transport.info());
  }

  #ask<T>(options: RequestOptions, act: (transport: Transport) => Promise<T>): Promise<T> {
    if (this.#ending) throw this.#ending;
    const asked = this.#questions.ask(this.#sequence, options, act);
    this.#need();
    return asked.finally(() => this.#rest());
  }

  position(channel: string): number | undefined {
    return this.#channels.get(channel)?.position;
  }

  connect(): void {
    if (this.#isClosing) throw new Refused("unavailable", "the client is closed; make a new one");
    this.#ending = undefined;
    this.#isPaused = false;
    this.#need();
    this.#rest();
  }

  disconnect(): void {
    if (this.#ending) return;
    this.#isPaused = true;
    this.#release();
    this.#become({ state: "disconnected", code: 0, reason: "disconnect() was called", willRetry: false });
  }

  async close(options: CloseOptions): Promise<void> {
    checkOptions(options);
    const { within = CLOSE_WITHIN } = options;
    this.#isClosing = true;
    this.#ending ??= new Refused("unavailable", "the client is closed");
    if (this.#outbox.size > 0 && within > 0) await this.#isEmpty(within);
    if (this.#change.state === "closed") return;
    this.#end(this.#ending, undefined);
    this.#become({ state: "closed", code: 0, reason: "", willRetry: false });
  }

  /** Resolves when no announcement is pending, or time is over. */
  #isEmpty(within: number): Promise<void> {
    return new Promise((resolve) => {
      const isLimited = within !== Number.POSITIVE_INFINITY;
      const cancel = isLimited ? this.#world.later(within, resolve) : () => {};
      this.#emptied.push(() => {
        cancel();
        resolve();
      });
    });
  }

  // --- the connection

  /** There is something to do. */
  #need(): void {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    if (!this.#isPaused && (!this.#ending || this.#outbox.size > 0)) this.#connection.start();
  }

  /** There may be nothing more to do. */
  #rest(): void {
    if (
      this.#channels.size + this.#outbox.size + this.#questions.size > 0 ||
      this.#cancelIdle ||
      this.#ending
    )
      return;
    this.#cancelIdle = this.#world.later(IDLE, () => {
      this.#release();
      this.#become({ state: "disconnected", code: 0, reason: "the connection was idle", willRetry: true });
    });
  }

  #release(): void {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    this.#connection.stop();
    this.#lost(false);
  }

  #home(): Home {
    for (const [name, channel] of this.#channels) {
      if (name !== EVERYONE && fitsPath(name)) return { channel: name, from: channel.ask() };
    }
    const everyone = this.#channels.get(EVERYONE);
    if (everyone) return { channel: EVERYONE, from: everyone.ask() };
    const channel = this.#outbox.channel;
    const isGood = channel !== undefined && fitsPath(channel) && !this.#refusedHomes.has(channel);
    return { channel: isGood ? channel : undefined, from: undefined };
  }

  #opened(transport: Transport, home: Home): void {
    this.#transport = transport;
    if (!this.#channels.has(EVERYONE)) transport.unsubscribe(EVERYONE);
    if (home.channel !== undefined && !this.#channels.has(home.channel)) transport.unsubscribe(home.channel);
    for (const [name, channel] of this.#channels) {
      channel.begin(transport, name === home.channel ? home.from : undefined);
    }
    this.#outbox.use(transport);
    this.#questions.use(transport);
  }

  #lost(isTooBig: boolean): void {
    this.#transport = undefined;
    this.#outbox.use(undefined, isTooBig);
    this.#questions.use(undefined);
    for (const channel of this.#channels.values()) channel.end();
  }

  #homeRefused(channel: string, error: Refused): void {
    if (this.#refusedHomes.size >= MOST_REMEMBERED) this.#refusedHomes.clear();
    this.#refusedHomes.add(channel);
    this.#channels.get(channel)?.fail(error);
  }

  /** Something was received or settled. */
  #noticed(): void {
    if (this.#questions.size > 0) this.#questions.look();
    if (this.#outbox.size > 0) return;
    for (const emptied of this.#emptied.splice(0)) emptied();
    if (this.#channels.size === 0) this.#rest();
  }

  /** The server refuses this client. */
  #fail(error: Refused, code: number): void {
    this.#ending = error;
    const reason = `${error.code}: ${error.message}`;
    this.#become({ state: "failed", code, reason, willRetry: false });
    // A listener may have started over.
    if (this.#ending === error) this.#end(error, error);
  }

  /**
   * Ends everything that is pending.
   * @param failure ends subscriptions with an error, too
   */
  #end(ending: Refused, failure: Error | undefined): void {
    this.#ending = ending;
    this.#release();
    this.#outbox.fail(ending);
    this.#questions.fail(ending);
    for (const channel of [...this.#channels.values()]) channel.fail(failure);
  }

  #become(change: Change): void {
    const { state, willRetry, code } = this.#change;
    const isSame = state === change.state && willRetry === change.willRetry && code === change.code;
    this.#change = change;
    if (!isSame) tell(this.#listeners, change);
  }
}
