/** The client: its channels, its announcements, and the connection they share. */
import { formatMember, presenceOf } from "../protocol/members.ts";
import { parseAddress } from "./address.ts";
import { Channel } from "./channel.ts";
import { Connection, type ConnectionListener } from "./connection.ts";
import { type Cancel, type Environment, environmentOf } from "./environment.ts";
import { Refused } from "./errors.ts";
import { checkChannel, checkData, checkKey, checkMessage, checkOptions, checkSubject } from "./inputs.ts";
import { add, addFor, emit, type Listeners } from "./listeners.ts";
import { Outbox } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { Presences } from "./presences.ts";
import { Questions } from "./questions.ts";
import { Roster } from "./roster.ts";
import { Subscriber } from "./subscription.ts";
import type { Home, Outcome, Transport } from "./transport.ts";
import type {
  AnnounceOptions,
  Change,
  CloseOptions,
  Codec,
  EnterOptions,
  Fanout,
  FanoutOptions,
  Members,
  RequestOptions,
  State,
  SubscribeOptions,
  Subscription,
  TokenSource,
} from "./types.ts";

/** How long an unused connection stays open, in milliseconds. */
const IDLE = 60_000;

/** How long `close` waits for announcements by default, in milliseconds. */
const CLOSE_WITHIN = 10_000;

/** Passes text through; `checkMessage` rejects anything else. */
const TEXT: Codec<unknown> = { encode: identity, decode: identity };

function identity(data: unknown): string;
function identity(data: unknown): unknown {
  return data;
}

/** Returns the codec of a call; the types ensure that its data suits the client's codec if the call has none. */
function codecOf<T>(own?: Codec<T>, common?: Codec<unknown>): Codec<T>;
function codecOf(own?: Codec<unknown>, common = TEXT): Codec<unknown> {
  return own ?? common;
}

/** Methods are arrow functions, so that programs may wrap a client in a proxy, as Vue does. */
export class Client<Data> implements Fanout<Data>, ConnectionListener {
  state: State = "disconnected";
  readonly #environment: Environment;
  readonly #codec: Codec<Data> | undefined;
  readonly #channels = new Map<string, Channel>();
  readonly #outbox: Outbox;
  readonly #presences: Presences;
  readonly #questions: Questions;
  readonly #connection: Connection;
  readonly #listeners: Listeners<Change> = new Set();
  readonly #debuggers: Listeners<string> = new Set();
  #transport: Transport | undefined;
  /** Why the client accepts no more calls: it failed, or was closed. */
  #ending: Refused | undefined;
  #isClosing = false;
  /** Whether it has never been connected. */
  #isNew = true;
  /** Whether it stays offline until `connect` is called. */
  #isPaused = false;
  /** Callbacks for when nothing is pending for which `close` waits. */
  readonly #onDrained = new Set<() => void>();
  /** Channels that this client may not subscribe to, though perhaps announce on. */
  readonly #refusedHomes = new Set<string>();
  #cancelIdle: Cancel = () => {};

  /** @throws Error if the address or an option is invalid */
  constructor(address: string | URL, options: FanoutOptions<Data> = {}, environment?: Environment) {
    checkOptions(options);
    this.#environment = environment ?? environmentOf(options);
    const base = parseAddress(address, this.#environment.location);
    this.#codec = options.codec;
    add(this.#listeners, options.onState);
    add(this.#debuggers, options.debug);
    const pace = new Pace(this.#environment, options.rate);
    this.#outbox = new Outbox(this.#environment, pace, () => this.#update());
    this.#presences = new Presences(this.#environment, () => this.#update());
    this.#questions = new Questions(this.#environment, () => this.#update());
    this.#connection = new Connection(this.#environment, base, options.token, pace, this);
  }

  // --- for programs

  readonly on = (kind: "state", listener: (change: Change) => void): (() => void) =>
    addFor({ state: this.#listeners }, kind, listener);

  readonly subscribe = <T>(channel: string, options: SubscribeOptions<T> = {}): Subscription<T> => {
    checkOptions(options);
    const name = checkChannel(channel);
    const codec = codecOf(options.codec, this.#codec);
    const leave = () => this.#leave(subscriber);
    const subscriber: Subscriber<T> = new Subscriber(this.#environment, name, options, codec, leave);
    const ending = this.#ending;
    if (ending || options.signal?.aborted) queueMicrotask(() => subscriber.end(ending));
    else this.#join(subscriber);
    return subscriber;
  };

  readonly announce = async <T>(
    channel: string,
    data: T,
    options: AnnounceOptions & { codec?: Codec<T> | undefined } = {},
  ): Promise<number | undefined> => {
    checkOptions(options);
    const name = checkChannel(channel);
    const key = checkKey(options.key === undefined ? this.#environment.newKey() : options.key);
    const text = checkMessage(codecOf(options.codec, this.#codec).encode(data));
    if (this.#ending) throw this.#ending;
    const announced = this.#outbox.announce({ channel: name, key, text }, options);
    this.#update();
    return announced;
  };

  readonly enter = async (channel: string, member: string, data = "", options: EnterOptions = {}): Promise<void> => {
    checkOptions(options);
    const name = checkSubject(channel);
    const text = formatMember({ member: checkKey(member, "the member"), data: checkData(data) });
    if (this.#ending) throw this.#ending;
    const entered = this.#presences.enter(name, { text, onEnd: options.onEnd });
    this.#update();
    return entered;
  };

  readonly leave = async (channel: string): Promise<void> => this.#presences.leave(checkSubject(channel));

  readonly members = (channel: string): Members => {
    const name = checkSubject(channel);
    return new Roster(
      name,
      (options) => this.subscribe(presenceOf(name), { ...options, codec: codecOf<string>() }),
      (signal) => this.#questions.list(name, signal),
    );
  };

  readonly ping = async (options: RequestOptions = {}): Promise<number> => {
    let sentAt = 0;
    await this.#ask<number | undefined>(options, (transport, done) => {
      sentAt = this.#environment.now();
      transport.ask("ping", "", done);
    });
    return this.#environment.now() - sentAt;
  };

  readonly info = async (options: RequestOptions = {}): Promise<Map<string, string>> =>
    this.#ask(options, (transport, done) => transport.info(done));

  readonly position = (channel: string): number | undefined => this.#channels.get(channel)?.position;

  readonly connect = (): void => {
    if (this.#isClosing || this.#isRevoked) throw this.#ending;
    this.#start();
  };

  readonly setToken = (token: TokenSource): void => {
    if (this.#isClosing) throw this.#ending;
    this.#connection.setToken(token);
    if (this.#ending) this.#start();
  };

  readonly disconnect = (): void => {
    if (this.#ending) return;
    this.#isPaused = true;
    this.#release();
    this.changed("disconnected", "disconnect() was called", 0, false);
  };

  readonly close = async (options: CloseOptions = {}): Promise<void> => {
    checkOptions(options);
    const { within = CLOSE_WITHIN } = options;
    this.#isClosing = true;
    this.#ending ??= new Refused("unavailable", "the client is closed; make a new one");
    if (within > 0 && this.#isBusy) {
      await new Promise<void>((resolve) => {
        const cancel = this.#environment.later(within, resolve);
        this.#onDrained.add(() => {
          cancel();
          resolve();
        });
      });
    }
    if (this.state === "closed") return;
    this.#end(this.#ending, undefined);
    this.changed("closed", "", 0, false);
  };

  // --- channels, announcements and questions

  #join<T>(subscriber: Subscriber<T>): void {
    const name = subscriber.channel;
    const known = this.#channels.get(name);
    const channel = known ?? new Channel(this.#environment, name);
    this.#channels.set(name, channel);
    channel.add(subscriber);
    if (!known && this.#transport) channel.begin(this.#transport, false);
    this.#update();
  }

  #leave<T>(subscriber: Subscriber<T>): void {
    const name = subscriber.channel;
    if (!this.#channels.get(name)?.remove(subscriber)) return;
    this.#channels.delete(name);
    this.#transport?.unsubscribe(name);
    this.#update();
  }

  async #ask<T>(
    options: RequestOptions,
    act: (transport: Transport, done: (outcome: T | Refused) => void) => void,
  ): Promise<T> {
    checkOptions(options);
    if (this.#ending) throw this.#ending;
    return this.#questions.ask(this.#outbox.sequence, options, act);
  }

  /** Whether `close` has something to wait for. */
  get #isBusy(): boolean {
    return this.#outbox.size > 0 || this.#presences.isLeaving;
  }

  /**
   * Sends questions whose turn has come, resolves `close`, connects if there is something to do, and schedules a
   * disconnect otherwise. Runs whenever something begins or settles.
   */
  #update(): void {
    if (this.#questions.size > 0 && this.#transport) {
      const areLive = [...this.#channels.values()].every(({ isLive }) => isLive);
      const next = this.#outbox.oldest?.sequence ?? this.#outbox.sequence + 1;
      this.#questions.send(this.#transport, areLive ? next : 0);
    }
    const isBusy = this.#isBusy;
    if (!isBusy) for (const drained of this.#onDrained) drained();
    this.#cancelIdle();
    if (this.#isPaused || (this.#ending && !isBusy)) return;
    if (isBusy || this.#channels.size + this.#questions.size + this.#presences.size > 0) this.#connection.start();
    else this.#cancelIdle = this.#environment.later(IDLE, () => this.#rest());
  }

  // --- for the connection

  debug(event: string): void {
    emit(this.#debuggers, event);
  }

  message(channel: string, text: string): void {
    this.#channels.get(channel)?.message(text);
  }

  subscribed(channel: string, outcome: Outcome): void {
    this.#channels.get(channel)?.subscribed(outcome);
    this.#update();
  }

  /** Returns the channel to connect at: that of a subscription or of the oldest announcement. */
  home(): Home {
    // The server subscribes each connection to `all` anyway; browsers and proxies resolve `.` and `..` in a path.
    const channel = [...this.#channels.keys(), this.#outbox.oldest?.channel].find(
      (name) => name && !/^(all|\.\.?)$/.test(name) && !this.#refusedHomes.has(name),
    );
    return { channel, from: this.#channels.get(channel ?? "")?.ask() };
  }

  homeRefused(channel: string, error: Refused): void {
    this.#refusedHomes.add(channel);
    this.#channels.get(channel)?.fail(error);
  }

  opened(transport: Transport): void {
    this.#isNew = false;
    this.#transport = transport;
    transport.leaveAllBut(this.#channels);
    for (const [name, channel] of this.#channels) channel.begin(transport, name === transport.home?.channel);
    this.#presences.use(transport);
    this.#outbox.use(transport);
    this.#update();
  }

  lost(isTooBig: boolean): void {
    this.#transport = undefined;
    this.#presences.use(undefined);
    this.#outbox.use(undefined, isTooBig);
    for (const channel of this.#channels.values()) channel.end();
  }

  renewed(): void {
    this.#presences.enterAgain();
  }

  changed(state: State, reason = "", code = 0, willRetry = true): void {
    // Programs that don't handle changes would wait without knowing why.
    if (reason && this.#isNew && this.#listeners.size === 0) console.warn(`Fanout: ${reason}`);
    const isChange = state !== this.state || !willRetry;
    this.state = state;
    if (isChange) emit(this.#listeners, { state, code, reason, willRetry });
  }

  failed(error: Refused, code: number): void {
    this.#ending = error;
    this.changed("failed", `${error.code}: ${error.message}`, code, false);
    // A listener may have called `connect`.
    if (this.#ending === error) this.#end(error, error);
  }

  // --- the end

  /** Disconnects an idle client. */
  #rest(): void {
    this.#release();
    this.changed("disconnected", "the connection was idle");
  }

  #release(): void {
    this.#cancelIdle();
    this.#connection.stop();
    this.lost(false);
  }

  /** Whether the server has revoked the token. */
  get #isRevoked(): boolean {
    return this.#ending?.code === "revoked";
  }

  #start(): void {
    this.#ending = undefined;
    this.#isPaused = false;
    this.#connection.start();
    this.#update();
  }

  /**
   * Settles everything that is pending. Only subscriptions, lists of members and presences survive a revocation, as the
   * program may set another token.
   * @param failure the error with which subscriptions and presences end, if any
   */
  #end(ending: Refused, failure: Refused | undefined): void {
    this.#release();
    this.#outbox.fail(ending);
    const mayResume = this.#isRevoked && !this.#isClosing;
    this.#questions.fail(ending, mayResume);
    if (mayResume) this.#presences.revert(ending);
    else {
      this.#presences.fail(ending, failure);
      for (const channel of this.#channels.values()) channel.fail(failure);
    }
  }
}
