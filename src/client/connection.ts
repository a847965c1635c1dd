/**
 * The way to the server: gets a token, opens a transport, finds out why one ended, waits, and opens the next one.
 *
 *   idle ──start──► starting ──token──► opening ──greeting──► open
 *                      ▲                   │                    │
 *                      │            probing (why?) ◄────────────┤ ended
 *                      └──── waiting ◄─────┴────────────────────┘
 *
 * `stop` leads back to idle from everywhere, and so does a refusal of the whole client. What is under way in a phase
 * ends with the signal of its attempt.
 */
import { TOO_BIG } from "../protocol/close-codes.ts";
import { type ErrorCode, isTemporary, parseReason } from "../protocol/errors.ts";
import { type Base, urlOf, webSocketUrl } from "./address.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { type Answer, probe, read } from "./http.ts";
import type { Pace } from "./pace.ts";
import { after, inTime } from "./timing.ts";
import { checkToken, getToken, untilRenewal } from "./token.ts";
import { type Home, NO_CLOSE_FRAME, type Opener, type Receiver, Transport } from "./transport.ts";
import type { FanoutOptions, State, WebSocketLike } from "./types.ts";

/** How long a connection has to last until earlier failures are forgotten, in milliseconds. */
const MIN_UPTIME = 10_000;
/** Refusals of new tokens in a row after which there is no hope; clocks that differ a little pass by then. */
const MOST_REFUSALS = 6;
/** Failures of WebSockets in a row, where requests get through, after which the client does without. */
const BLOCKED_AFTER = 2;
/** How long it does without, in milliseconds. */
const BLOCKED_FOR = 300_000;
/** How long an attempt may take before a wake-up begins another one, in milliseconds. */
const HANGING = 3_000;
/** Least time between attempts that wake-ups begin, in milliseconds. */
const BETWEEN_WAKES = 1_000;
/** Time until a renewal that failed is tried again, in milliseconds. */
const RENEW_AGAIN = 10_000;

type Phase = "idle" | "starting" | "opening" | "open" | "probing" | "waiting";

/** What a connection reports to. */
export interface User extends Receiver {
  /** Returns where to connect. */
  home(): Home;
  opened(transport: Transport): void;
  /** @param isTooBig whether something was larger than the server takes */
  lost(isTooBig: boolean): void;
  /** The client may not connect at this channel. */
  homeRefused(channel: string, error: Refused): void;
  /** @param code a close code, or the status of a response */
  changed(state: State, reason?: string, code?: number): void;
  /** The server refuses the client, and would do so again. */
  failed(error: Refused, code: number): void;
}

export class Connection implements Opener {
  readonly #environment: Environment;
  readonly #base: Base;
  readonly #source: FanoutOptions["token"];
  readonly #pace: Pace;
  readonly #user: User;
  #phase: Phase = "idle";
  /** Of the newest attempt: ends what is under way. */
  #attempt = new AbortController();
  #token: string | undefined;
  #transport: Transport | undefined;
  #beganAt = 0;
  #openedAt = 0;
  #failures = 0;
  #refusals = 0;
  #blocked = 0;
  #blockedUntil = 0;
  /** Whether the server asked for the pause before the next attempt. */
  #isAsked = false;

  /** @throws Error if there can't be a token */
  constructor(environment: Environment, base: Base, source: FanoutOptions["token"], pace: Pace, user: User) {
    if (source !== undefined && typeof source !== "function") checkToken(source);
    this.#environment = environment;
    this.#base = base;
    this.#source = source;
    this.#pace = pace;
    this.#user = user;
  }

  /** Connects, unless it does already. */
  start(): void {
    if (this.#phase === "idle") this.#begin();
  }

  /** Ends whatever is under way. */
  stop(): void {
    this.#enter("idle");
    this.#failures = this.#refusals = 0;
  }

  /** Ends what is under way, without a report of it; returns the signal that ends the next phase. */
  #enter(phase: Phase): AbortSignal {
    this.#attempt.abort();
    this.#attempt = new AbortController();
    this.#phase = phase;
    const { signal } = this.#attempt;
    const wake = () => this.#wake();
    if (phase !== "idle") signal.addEventListener("abort", this.#environment.onWaking(wake));
    return signal;
  }

  // --- attempts

  async #begin(): Promise<void> {
    const environment = this.#environment;
    const signal = this.#enter("starting");
    this.#beganAt = environment.now();
    this.#isAsked = false;
    this.#user.changed("connecting");
    try {
      const token = await getToken(environment, this.#source, signal);
      if (signal.aborted) return;
      const { WebSocket } = environment;
      if (WebSocket && environment.now() >= this.#blockedUntil) {
        const protocols = token === undefined ? [] : ["fanout", token];
        this.#open(signal, token, this.#user.home(), (url) => new WebSocket(url, protocols));
      } else {
        const { RequestSocket } = await inTime(environment, signal, environment.loadRequests);
        const parts = {
          base: this.#base,
          later: environment.later,
          read,
          fetch: environment.fetch,
        };
        this.#open(signal, token, undefined, () => new RequestSocket(token, parts));
      }
    } catch (error) {
      if (!signal.aborted) this.#retry(0, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param home undefined if the socket stands for requests */
  #open(
    signal: AbortSignal,
    token: string | undefined,
    home: Home | undefined,
    socketAt: (url: string) => WebSocketLike,
  ): void {
    if (signal.aborted) return;
    this.#token = token;
    const { channel, from } = home ?? {};
    const url = webSocketUrl(channel === undefined ? `${this.#base}/` : urlOf(this.#base, channel, from));
    this.#user.debug(`connecting to ${url}${home ? "" : " by requests"}`);
    try {
      const socket = socketAt(url);
      this.#transport = new Transport(socket, home, this.#environment, this.#pace, signal, this, this.#user);
      this.#phase = "opening";
    } catch (error) {
      // Whatever is wrong with the address or the page stays so.
      this.#fail(new Refused("invalid", String(error)), 0);
    }
  }

  opened(transport: Transport): void {
    const { signal } = this.#attempt;
    this.#phase = "open";
    this.#openedAt = this.#environment.now();
    this.#blocked = 0;
    if (this.#token !== undefined) this.#renewIn(this.#untilRenewal(this.#token), signal);
    this.#user.opened(transport);
    if (!signal.aborted) this.#user.changed("connected");
  }

  #untilRenewal(token: string): number | undefined {
    return this.#isRenewable ? untilRenewal(token, this.#environment.date()) : undefined;
  }

  /** Whether another token may be better. */
  get #isRenewable(): boolean {
    return typeof this.#source === "function";
  }

  #renewIn(milliseconds: number | undefined, signal: AbortSignal): void {
    if (milliseconds === undefined) return;
    after(this.#environment, milliseconds, signal, async () => {
      const token = await getToken(this.#environment, this.#source, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (token === undefined) return this.#renewIn(RENEW_AGAIN, signal);
      this.#transport?.ask("token", ` ${token}`, (outcome) => {
        // What is refused isn't better when it is sent again; the token before is good until its end.
        const isHeld = outcome instanceof Refused && isTemporary(outcome.code);
        this.#renewIn(isHeld ? RENEW_AGAIN : this.#untilRenewal(token), signal);
      });
    });
  }

  // --- the end of an attempt

  ended(status: number, reason: string): void {
    const wasOpen = this.#phase === "open";
    if (wasOpen && this.#environment.now() - this.#openedAt >= MIN_UPTIME)
      this.#failures = this.#refusals = 0;
    const signal = this.#enter("probing");
    const { code, why } = parseReason(reason) ?? { code: undefined, why: reason };
    if (wasOpen) this.#user.lost(status === TOO_BIG || code === "limit");
    if (signal.aborted) return;
    const home = this.#transport?.home;
    if (wasOpen || !home || status !== NO_CLOSE_FRAME) this.#judge({ status, code, why });
    else this.#askWhy(signal, home.channel);
  }

  /** A WebSocket that doesn't open doesn't say why; a request does. */
  async #askWhy(signal: AbortSignal, channel: string | undefined): Promise<void> {
    const answer = await probe(this.#environment, this.#base, this.#token, channel, signal);
    if (signal.aborted) return;
    if (answer) return this.#judge(answer, channel);
    this.#blocked += 1;
    if (this.#blocked >= BLOCKED_AFTER) this.#blockedUntil = this.#environment.now() + BLOCKED_FOR;
    this.#retry(0, "WebSockets don't get through");
  }

  /**
   * Connects again, unless the server would refuse that, too.
   * @param answer of the server; its status may be a close code
   * @param channel the channel at which the client was to connect
   */
  #judge({ status, code, why, retryAfter }: Answer, channel?: string): void {
    if (code === "rate") this.#pace.slowDown();
    const isToken = status === 401 || code === "expired" || code === "revoked";
    if (isToken) this.#refusals += 1;
    const isFinal = isToken ? this.#isHopeless(code) : status >= 400 && status < 500;
    const attempt = this.#attempt;
    // Something between client and server may say anything, for a while.
    if (code && isFinal && !isTemporary(code)) {
      const error = new Refused(code, why);
      if (isToken || channel === undefined) this.#fail(error, status);
      // Elsewhere it may connect.
      else this.#user.homeRefused(channel, error);
    }
    if (attempt === this.#attempt) this.#retry(status, code ? `${code}: ${why}` : why, retryAfter);
  }

  /** Whether no other token will do. */
  #isHopeless(code: ErrorCode | undefined): boolean {
    return !this.#isRenewable || (code !== "expired" && this.#refusals >= MOST_REFUSALS);
  }

  #fail(error: Refused, code: number): void {
    this.stop();
    this.#user.failed(error, code);
  }

  #retry(code: number, reason: string, retryAfter = 0): void {
    const signal = this.#enter("waiting");
    this.#isAsked = retryAfter > 0;
    after(this.#environment, backoff(this.#environment, this.#failures, retryAfter), signal, () =>
      this.#begin(),
    );
    this.#failures += 1;
    this.#user.changed("disconnected", reason, code);
  }

  /** The machine was asleep, the page hidden, or there is another network. */
  #wake(): void {
    const wait = this.#phase === "waiting" ? BETWEEN_WAKES : HANGING;
    if (this.#phase === "open") this.#transport?.check();
    else if (!this.#isAsked && this.#environment.now() - this.#beganAt >= wait) this.#begin();
  }
}
