/**
 * A client that never loses its place: it counts, and comes back where it was on every channel. What it cannot have is
 * told as a gap.
 */
import { channelFault, EVERYONE } from "../protocol/channels.ts";
import { clauseOf, faultIn } from "../protocol/errors.ts";
import { keyFault } from "../protocol/keys.ts";
import type { From } from "../protocol/positions.ts";
import { NO_MESSAGE } from "../protocol/refusals.ts";
import { backoff } from "./backoff.ts";
import { Outbox } from "./outbox.ts";
import { isLater, probe, RequestSession } from "./requests.ts";
import { type Address, type Ending, type Hearer, Refused, type Session } from "./session.ts";
import { SocketSession } from "./socket.ts";
import { type Gap, type SubscribeOptions, Subscription, tell } from "./subscription.ts";
import { untilRenewal } from "./token.ts";
import { onWaking } from "./waking.ts";

export type { ErrorCode } from "../protocol/errors.ts";
export { Refused } from "./session.ts";
export type { Gap, Message, SubscribeOptions, Subscription, SubscriptionState } from "./subscription.ts";

export type State = "connecting" | "connected" | "disconnected";

/** Why a state has changed. */
export interface Change {
  state: State;
  /** The WebSocket's close code; 0 if there was none. */
  code: number;
  reason: string;
  /** Whether it will be tried again. */
  willRetry: boolean;
}

export interface FanoutOptions {
  /** A token, or what gets one: asked each time that it connects, and before the one that it has ends. */
  token?: string | (() => string | Promise<string>);
  onState?(change: Change): void;
}

/** Failures of WebSockets in a row, where requests get through, after which it does without. */
const BLOCKED_AFTER = 2;

/** Codes of errors that another token can mend. */
const NEEDS_TOKEN: readonly string[] = ["expired", "revoked"];

/** Where the client is in one channel, for all who are subscribed to it. */
interface Channel {
  readonly subscriptions: Set<Subscription>;
  position: number | undefined;
  /** From where on to hear it where there is no position yet. */
  readonly fresh: From;
  /** Whether what comes is for these subscriptions: not while it may be for earlier ones. */
  isLive: boolean;
}

export class Fanout {
  readonly #url: string;
  readonly #options: FanoutOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #outbox = new Outbox();
  #session: Session | undefined;
  #isOpen = false;
  #isConnecting = false;
  /** Why it is over, if it is. */
  #over: Error | undefined;
  #failures = 0;
  #blocked = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #change: Change = { state: "disconnected", code: 0, reason: "", willRetry: true };
  readonly #sleepOn: () => void;

  /** @param url of the server, `wss://…` or `https://…`; it connects when there is something to do */
  constructor(url: string, options: FanoutOptions = {}) {
    this.#url = url;
    this.#options = options;
    this.#sleepOn = onWaking(() => this.#lookAtOnce());
  }

  get state(): State {
    return this.#change.state;
  }

  /**
   * Subscribes to a channel: iterate over what it gives, or give callbacks.
   * @throws Error if that is no channel's name, or it is heard already and another place is asked for
   */
  subscribe(channel: string, options: SubscribeOptions = {}): Subscription {
    const fault = channelFault(channel);
    if (fault) throw new Error(fault);
    const known = this.#channels.get(channel);
    if (known && options.since !== undefined && options.since !== known.position) {
      throw new Error(`${channel} is heard already, at another position`);
    }
    const heard = known ?? newChannel(options);
    const since = heard.position;
    const subscription = new Subscription(channel, { ...options, since }, (left) => this.#leave(left));
    heard.subscriptions.add(subscription);
    if (heard.isLive) subscription.become("subscribed");
    if (!known) {
      this.#channels.set(channel, heard);
      if (this.#isOpen) this.#session?.subscribe(channel, placeIn(heard));
    }
    this.#connect();
    return subscription;
  }

  /**
   * Announces a message; it is repeated under its key until it is answered. Waits while very many do.
   * @returns its position; undefined where no history is kept
   * @throws Refused if the server does not take it; Error if it is no message, or the client is closed
   */
  async announce(
    channel: string,
    text: string,
    { key = newKey() }: { key?: string } = {},
  ): Promise<number | undefined> {
    const fault = channelFault(channel) ?? keyFault(key) ?? (text === "" ? NO_MESSAGE : undefined);
    if (fault !== undefined) throw new Error(fault);
    if (text.includes("\n")) throw new Error("a message is one line");
    const room = this.#outbox.room();
    if (room) await room;
    if (this.#over) throw this.#over;
    const announced = this.#outbox.announce(channel, text, key);
    this.#connect();
    return announced;
  }

  /** Ends when all that was asked for before has taken effect; in how many milliseconds. */
  async ping(): Promise<number> {
    const began = performance.now();
    await (await this.#opened()).ping();
    return performance.now() - began;
  }

  /** The server's figures. */
  async info(): Promise<Map<string, string>> {
    return (await this.#opened()).info();
  }

  /** Of the newest message of a channel that has been handed over; undefined if that is not known. */
  position(channel: string): number | undefined {
    return this.#channels.get(channel)?.position;
  }

  /** Ends when everything that was announced has been answered, and the connection is over. */
  async close(): Promise<void> {
    if (!this.#over) await this.#outbox.emptied();
    this.#stop(new Error("the client is closed"));
    this.#sleepOn();
    clearTimeout(this.#retry);
    this.#session?.close();
  }

  // --- the connection

  #connect(): void {
    if (this.#session || this.#isConnecting || this.#over || this.#retry !== undefined) return;
    this.#isConnecting = true;
    this.#become({ state: "connecting", code: 0, reason: "", willRetry: true });
    this.#begin()
      .catch((error: unknown) => this.#ended({ code: 0, reason: String(error), isFinal: false }))
      .finally(() => {
        this.#isConnecting = false;
      });
  }

  async #begin(): Promise<void> {
    const address = await this.#address();
    if (this.#over) return;
    const names = [...this.#channels.keys()];
    const channel = names.find((name) => name !== EVERYONE) ?? names[0];
    const heard = channel === undefined ? undefined : this.#channels.get(channel);
    const first = channel !== undefined && heard ? { channel, from: placeIn(heard) } : undefined;
    const Way = this.#blocked >= BLOCKED_AFTER ? RequestSession : SocketSession;
    const session = new Way(address, first, this.#hearer(channel, address));
    this.#session = session;
    if (address.token !== undefined) this.#renewBefore(address.token, session);
  }

  async #address(): Promise<Address> {
    const { token } = this.#options;
    return { url: this.#url, token: typeof token === "function" ? await token() : token };
  }

  #renewBefore(token: string, session: Session): void {
    clearTimeout(this.#renewal);
    const wait = untilRenewal(token, Date.now());
    if (wait === undefined || typeof this.#options.token !== "function") return;
    this.#renewal = setTimeout(async () => {
      const { token: next } = await this.#address().catch(() => ({ token: undefined }));
      if (next === undefined || this.#session !== session) return;
      session.renew(next);
      this.#renewBefore(next, session);
    }, wait);
  }

  #hearer(first: string | undefined, address: Address): Hearer {
    return {
      opened: () => this.#openedWith(first),
      located: (channel, position) => this.#located(channel, position),
      message: (channel, text) => {
        const heard = this.#channels.get(channel);
        if (!heard?.isLive) return;
        if (heard.position !== undefined) heard.position += 1;
        const message = { channel, text, position: heard.position };
        for (const subscription of [...heard.subscriptions]) subscription.hear(message);
      },
      gap: (channel, from, to) => this.#miss({ channel, from, to }),
      refused: (channel, error) => this.#refuse(channel, error),
      ended: (ending) => {
        if (ending.code === 0) this.#askWhy(ending, address, first ?? EVERYONE);
        else this.#ended(ending);
      },
    };
  }

  #openedWith(first: string | undefined): void {
    const session = this.#session;
    if (!session) return;
    this.#isOpen = true;
    this.#failures = this.#blocked = 0;
    this.#become({ state: "connected", code: 0, reason: "", willRetry: true });
    if (!this.#channels.has(EVERYONE)) session.unsubscribe(EVERYONE);
    if (first !== undefined && !this.#channels.has(first)) session.unsubscribe(first);
    for (const [channel, heard] of this.#channels) {
      if (channel !== first) session.subscribe(channel, placeIn(heard));
    }
    this.#outbox.use(session);
  }

  #located(channel: string, position: number | undefined): void {
    const heard = this.#channels.get(channel);
    if (!heard) return;
    const { position: before } = heard;
    if (before !== undefined && position === undefined) this.#miss({ channel, from: before, to: undefined });
    heard.position = position;
    heard.isLive = true;
    for (const subscription of heard.subscriptions) {
      subscription.reach(position);
      subscription.become("subscribed");
    }
  }

  #miss(gap: Gap): void {
    const heard = this.#channels.get(gap.channel);
    for (const subscription of heard?.subscriptions ?? []) subscription.miss(gap);
  }

  #refuse(channel: string, error: Error): void {
    for (const subscription of this.#channels.get(channel)?.subscriptions ?? []) subscription.fail(error);
  }

  /** A WebSocket that was never open says nothing of why: a request does. */
  async #askWhy(ending: Ending, address: Address, channel: string): Promise<void> {
    const answer = await probe(address, channel);
    if (answer) {
      const { status, code, said, retryAfter } = answer;
      const isFinal = status >= 400 && !isLater(status);
      this.#ended({ code: status, reason: `${code}: ${clauseOf(said)}`, isFinal, retryAfter });
    } else {
      this.#blocked += 1;
      this.#ended({ ...ending, reason: "WebSockets do not get through" });
    }
  }

  #ended({ code, reason, isFinal, retryAfter = 0 }: Ending): void {
    this.#session = undefined;
    this.#isOpen = false;
    this.#outbox.use(undefined);
    clearTimeout(this.#renewal);
    for (const heard of this.#channels.values()) {
      heard.isLive = false;
      for (const subscription of heard.subscriptions) subscription.become("subscribing");
    }
    if (this.#over) return;
    const fault = faultIn(reason);
    const hasNewToken = typeof this.#options.token === "function" && NEEDS_TOKEN.includes(fault.code);
    const willRetry = !isFinal || hasNewToken;
    this.#become({ state: "disconnected", code, reason, willRetry });
    if (!willRetry) {
      this.#stop(new Refused(fault.code, fault.why));
      return;
    }
    this.#retry = setTimeout(() => this.#again(), Math.max(retryAfter, backoff(this.#failures++)));
  }

  #again(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#connect();
  }

  /** The machine has been asleep, the page in the background, or the network is another one. */
  #lookAtOnce(): void {
    if (this.#retry !== undefined) this.#again();
    else if (this.#isOpen) this.#session?.check();
  }

  /** Nothing more will come, or go out. */
  #stop(error: Error): void {
    this.#over ??= error;
    this.#outbox.fail(error);
    for (const { subscriptions } of [...this.#channels.values()]) {
      for (const subscription of [...subscriptions]) {
        if (error instanceof Refused) subscription.fail(error);
        else this.#leave(subscription);
      }
    }
    this.#become({ ...this.#change, state: "disconnected", willRetry: false });
  }

  // --- what parts tell of each other

  #leave(subscription: Subscription): void {
    const { channel } = subscription;
    const heard = this.#channels.get(channel);
    if (!heard?.subscriptions.delete(subscription)) return;
    subscription.become("unsubscribed");
    if (heard.subscriptions.size > 0) return;
    this.#channels.delete(channel);
    if (this.#isOpen) this.#session?.unsubscribe(channel);
  }

  #become(change: Change): void {
    const isSame = change.state === this.#change.state && change.willRetry === this.#change.willRetry;
    this.#change = change;
    if (!isSame) tell(() => this.#options.onState?.(change));
    for (const noticed of this.#opening.splice(0)) noticed();
  }

  readonly #opening: (() => void)[] = [];

  /** The session, when there is one. */
  async #opened(): Promise<Session> {
    this.#connect();
    while (!this.#isOpen || !this.#session) {
      if (this.#over) throw this.#over;
      await new Promise<void>((resolve) => this.#opening.push(resolve));
    }
    return this.#session;
  }
}

function newChannel({ since, last }: SubscribeOptions): Channel {
  const fresh: From = last === undefined ? { since: "now" } : { last };
  return { subscriptions: new Set(), position: since, fresh, isLive: false };
}

function placeIn({ position, fresh }: Channel): From {
  return position === undefined ? fresh : { since: position };
}

/** Pages that came without TLS have no `randomUUID`. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
