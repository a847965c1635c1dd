/**
 * Keeps the client connected: gets a token, opens a transport, finds out why it ended, waits, and opens the next one.
 *
 *   idle ──start──► starting ──token──► opening ──greeting──► open
 *                      ▲                   │                    │
 *                      │            probing (why?) ◄────────────┤ ended
 *                      └──── backoff ◄─────┴────────────────────┘
 *
 * `stop` returns to idle from any phase, and so does a refusal of the client. Leaving a phase aborts its signal, which
 * cancels the work in progress.
 */
import { POLICY, TOO_BIG } from "../protocol/close-codes.ts";
import { type ErrorCode, isTemporary, parseReason } from "../protocol/errors.ts";
import { type Base, urlOf, webSocketUrl } from "./address.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { type Answer, probe, read } from "./http.ts";
import type { Pace } from "./pace.ts";
import { after, inTime } from "./timing.ts";
import { checkToken, getToken, untilRenewal } from "./token.ts";
import { type Home, NO_CLOSE_FRAME, type Receiver, Transport, type TransportListener } from "./transport.ts";
import type { FanoutOptions, State, TokenSource, WebSocketLike } from "./types.ts";

/** How long a connection must last before earlier failures are forgotten, in milliseconds. */
const MIN_UPTIME = 10_000;
/** Refusals of new tokens in a row after which the client fails; small clock differences have passed earlier. */
const MAX_REFUSALS = 6;
/** WebSocket failures in a row, while requests succeed, after which the client switches to requests. */
const BLOCKED_AFTER = 2;
/** How long it then uses requests, in milliseconds. */
const BLOCKED_FOR = 300_000;
/** The age at which a wake-up replaces an unfinished attempt, in milliseconds. */
const HANGING = 3_000;
/** The least time between attempts started by wake-ups, in milliseconds. */
const BETWEEN_WAKES = 1_000;
/** The delay before a failed token renewal is retried, in milliseconds. */
const RENEWAL_RETRY = 10_000;

type Phase = "idle" | "starting" | "opening" | "open" | "probing" | "backoff";

/** Receives a connection's events. */
export interface ConnectionListener extends Receiver {
  /** Returns the channel to connect at. */
  home(): Home;
  opened(transport: Transport): void;
  /** @param isTooBig whether the client had sent more than the server accepts */
  lost(isTooBig: boolean): void;
  /** The server has accepted another token, which may not grant the same. */
  renewed(): void;
  /** The server refuses this channel, but perhaps not others. */
  homeRefused(channel: string, error: Refused): void;
  /** @param code a close code or an HTTP status */
  changed(state: State, reason?: string, code?: number): void;
  /** The server refuses the client for good. */
  failed(error: Refused, code: number): void;
}

export class Connection implements TransportListener {
  readonly #environment: Environment;
  readonly #base: Base;
  #tokenSource: FanoutOptions["token"];
  readonly #pace: Pace;
  readonly #listener: ConnectionListener;
  #phase: Phase = "idle";
  /** Aborts the current phase. */
  #attempt = new AbortController();
  #token: string | undefined;
  #transport: Transport | undefined;
  #startedAt = 0;
  #openedAt = 0;
  #failures = 0;
  #refusals = 0;
  #blockedCount = 0;
  #blockedUntil = 0;
  /** Whether the server asked for the current delay. */
  #isServerDelay = false;

  /** @throws Error if the token is invalid */
  constructor(
    environment: Environment,
    base: Base,
    tokenSource: FanoutOptions["token"],
    pace: Pace,
    listener: ConnectionListener,
  ) {
    if (tokenSource !== undefined && typeof tokenSource !== "function") checkToken(tokenSource);
    this.#environment = environment;
    this.#base = base;
    this.#tokenSource = tokenSource;
    this.#pace = pace;
    this.#listener = listener;
  }

  /** Connects, unless connected or connecting. */
  start(): void {
    if (this.#phase === "idle") this.#begin();
  }

  /**
   * Uses other tokens, and reconnects unless idle.
   * @throws Refused if the token is invalid
   */
  setToken(source: TokenSource): void {
    this.#tokenSource = typeof source === "function" ? source : checkToken(source);
    this.#token = undefined;
    if (this.#phase === "idle") return;
    this.#failures = this.#refusals = 0;
    const wasOpen = this.#phase === "open";
    const signal = this.#enter("starting");
    if (wasOpen) this.#listener.lost(false);
    if (!signal.aborted) this.#begin();
  }

  /** Disconnects, and cancels attempts. */
  stop(): void {
    this.#enter("idle");
    this.#failures = this.#refusals = 0;
  }

  /** Switches to a phase and aborts the previous one silently; returns the new phase's signal. */
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
    this.#startedAt = environment.now();
    this.#isServerDelay = false;
    this.#listener.changed("connecting");
    try {
      const token = await getToken(environment, this.#tokenSource, signal);
      if (signal.aborted) return;
      const { WebSocket } = environment;
      if (WebSocket && environment.now() >= this.#blockedUntil) {
        const protocols = token === undefined ? [] : ["fanout", token];
        this.#open(signal, token, this.#listener.home(), (url) => new WebSocket(url, protocols));
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
      if (!signal.aborted) this.#handleError(error);
    }
  }

  /** Fails if a function never returned a token, as the program is wrong; later, its issuer may be failing. */
  #handleError(error: unknown): void {
    if (error instanceof Refused && this.#token === undefined) this.#fail(error, 0);
    else this.#retry(0, error instanceof Error ? error.message : String(error));
  }

  /** @param home undefined if the socket is a RequestSocket */
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
    this.#listener.debug(`connecting to ${url}${home ? "" : " by requests"}`);
    try {
      const socket = socketAt(url);
      this.#transport = new Transport(socket, home, this.#environment, this.#pace, signal, this, this.#listener);
      this.#phase = "opening";
    } catch (error) {
      // A wrong address, or a page that may not use it, fails every time.
      this.#fail(new Refused("invalid", String(error)), 0);
    }
  }

  opened(transport: Transport): void {
    const { signal } = this.#attempt;
    this.#phase = "open";
    this.#openedAt = this.#environment.now();
    this.#blockedCount = 0;
    if (this.#token !== undefined) this.#renewIn(this.#untilRenewal(this.#token), signal);
    this.#listener.opened(transport);
    if (!signal.aborted) this.#listener.changed("connected");
  }

  #untilRenewal(token: string): number | undefined {
    return this.#isRenewable ? untilRenewal(token, this.#environment.date()) : undefined;
  }

  /** Whether the client can get another token. */
  get #isRenewable(): boolean {
    return typeof this.#tokenSource === "function";
  }

  #renewIn(milliseconds: number | undefined, signal: AbortSignal): void {
    if (milliseconds === undefined) return;
    after(this.#environment, milliseconds, signal, async () => {
      // Undefined, too, if the connection has been replaced: then nothing is scheduled.
      const token = await getToken(this.#environment, this.#tokenSource, signal).catch(() => undefined);
      if (token === undefined) return this.#renewIn(RENEWAL_RETRY, signal);
      this.#transport?.ask("token", ` ${token}`, (outcome) => {
        if (outcome instanceof Refused && outcome.code === "revoked") {
          return this.ended(POLICY, `revoked: ${outcome.message}`);
        }
        // Retry only temporary refusals. Otherwise the old token remains valid until it expires.
        const isTemporaryRefusal = outcome instanceof Refused && isTemporary(outcome.code);
        if (!(outcome instanceof Refused)) this.#listener.renewed();
        this.#renewIn(isTemporaryRefusal ? RENEWAL_RETRY : this.#untilRenewal(token), signal);
      });
    });
  }

  // --- the end of an attempt

  ended(status: number, reason: string): void {
    const wasOpen = this.#phase === "open";
    if (wasOpen && this.#environment.now() - this.#openedAt >= MIN_UPTIME) this.#failures = this.#refusals = 0;
    const signal = this.#enter("probing");
    const { code, why } = parseReason(reason) ?? { code: undefined, why: reason };
    if (wasOpen) this.#listener.lost(status === TOO_BIG || code === "limit");
    if (signal.aborted) return;
    const home = this.#transport?.home;
    if (wasOpen || !home || status !== NO_CLOSE_FRAME) this.#handleFailure({ status, code, why });
    else this.#diagnose(signal, home.channel);
  }

  /** Finds out by a request why a WebSocket didn't open, as the WebSocket itself doesn't tell. */
  async #diagnose(signal: AbortSignal, channel: string | undefined): Promise<void> {
    const answer = await probe(this.#environment, this.#base, this.#token, channel, signal);
    if (signal.aborted) return;
    if (answer) return this.#handleFailure(answer, channel);
    this.#blockedCount += 1;
    if (this.#blockedCount >= BLOCKED_AFTER) this.#blockedUntil = this.#environment.now() + BLOCKED_FOR;
    this.#retry(0, "WebSockets don't get through");
  }

  /**
   * Schedules a reconnect, or fails the client or the channel if the server would refuse that too.
   * @param answer the server's; its status may be a close code
   * @param channel the channel at which the client tried to connect
   */
  #handleFailure({ status, code, why, retryAfter }: Answer, channel?: string): void {
    if (code === "rate") this.#pace.slowDown();
    const isToken = status === 401 || code === "expired" || code === "revoked";
    if (isToken) this.#refusals += 1;
    const isFinal = isToken ? this.#isHopeless(code) : status >= 400 && status < 500;
    const attempt = this.#attempt;
    // An answer without a code is from a proxy, and may pass.
    if (code && isFinal && !isTemporary(code)) {
      const error = new Refused(code, why);
      if (isToken || channel === undefined) this.#fail(error, status);
      // Other channels may accept the client.
      else this.#listener.homeRefused(channel, error);
    }
    if (attempt === this.#attempt) this.#retry(status, code ? `${code}: ${why}` : why, retryAfter);
  }

  /** Whether another token can't help. */
  #isHopeless(code: ErrorCode | undefined): boolean {
    return !this.#isRenewable || code === "revoked" || (code !== "expired" && this.#refusals >= MAX_REFUSALS);
  }

  #fail(error: Refused, code: number): void {
    this.stop();
    this.#listener.failed(error, code);
  }

  #retry(code: number, reason: string, retryAfter = 0): void {
    const signal = this.#enter("backoff");
    this.#isServerDelay = retryAfter > 0;
    after(this.#environment, backoff(this.#environment, this.#failures, retryAfter), signal, () => this.#begin());
    this.#failures += 1;
    this.#listener.changed("disconnected", reason, code);
  }

  /** Checks or restarts the connection after the machine slept, the page was hidden, or the network changed. */
  #wake(): void {
    const wait = this.#phase === "backoff" ? BETWEEN_WAKES : HANGING;
    if (this.#phase === "open") this.#transport?.check();
    else if (!this.#isServerDelay && this.#environment.now() - this.#startedAt >= wait) this.#begin();
  }
}
