/**
 * The way to the server: gets a token, opens a transport, finds out why one ended, waits, and opens the next one.
 *
 *   idle ──start──► starting ──token──► opening ──greeting──► open
 *                      ▲                   │                    │
 *                      │            probing (why?) ◄────────────┤ ended
 *                      └──── waiting ◄─────┴────────────────────┘
 *
 * `stop` leads back to idle from everywhere, and so does a refusal of the whole client.
 */
import { TOO_BIG } from "../protocol/close-codes.ts";
import { clauseOf, isTemporary, parseReason } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import { Refused } from "./errors.ts";
import { type Answer, type Leaving, probe } from "./http.ts";
import type { SendLimits } from "./limits.ts";
import { Transport } from "./socket.ts";
import { type Tokens, untilRenewal } from "./token.ts";
import type { Ending, Home, TransportEvents, TransportParts } from "./transport.ts";
import type { Change } from "./types.ts";
import { judgeAnswer, judgeClosing } from "./verdict.ts";
import type { Cancel, World } from "./world.ts";

/** How long a connection has to last until earlier failures are forgotten, in milliseconds. */
const MIN_UPTIME = 10_000;
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

type Phase =
  | { is: "idle" }
  | { is: "starting" | "probing" }
  | { is: "opening"; transport: Transport }
  | { is: "open"; since: number; transport: Transport }
  | { is: "waiting"; cancel: Cancel; isAsked: boolean };

/** What a connection reports, besides what its transports do. */
export interface ConnectionEvents extends Omit<TransportEvents, "opened" | "ended"> {
  /** Returns where to connect. */
  home(): Home;
  opened(transport: Transport, home: Home): void;
  /** @param isTooBig whether something was larger than the server takes */
  lost(isTooBig: boolean): void;
  /** The client may not connect at this channel. */
  homeRefused(channel: string, error: Refused): void;
  changed(change: Change): void;
  /** The server refuses the client, and would do so again. */
  failed(error: Refused, code: number): void;
}

export interface ConnectionParts {
  world: World;
  base: string;
  tokens: Tokens;
  limits: SendLimits;
  events: ConnectionEvents;
  debug: TransportParts["debug"];
}

export class Connection {
  readonly #parts: ConnectionParts;
  #phase: Phase = { is: "idle" };
  /** Rises when what is under way doesn't count any more. */
  #turn = 0;
  readonly #leaving: Leaving = new Set();
  #failures = 0;
  #refusals = 0;
  #blocked = 0;
  #blockedUntil = Number.NEGATIVE_INFINITY;
  /** What the newest attempt uses. */
  #uses: "socket" | "requests" = "socket";
  #lastBegin = Number.NEGATIVE_INFINITY;
  #cancelRenewal: Cancel = () => {};
  #cancelWaking: Cancel | undefined;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Connects, unless it does already. */
  start(): void {
    if (this.#phase.is !== "idle") return;
    this.#cancelWaking ??= this.#parts.world.onWaking(() => this.#wake());
    this.#begin();
  }

  /** Ends whatever is under way. */
  stop(): void {
    this.#abandon();
    this.#phase = { is: "idle" };
    this.#cancelWaking?.();
    this.#cancelWaking = undefined;
    this.#failures = this.#refusals = 0;
  }

  /** Ends what is under way, without a report of it. */
  #abandon(): void {
    this.#turn += 1;
    this.#cancelRenewal();
    const phase = this.#phase;
    if ("transport" in phase) phase.transport.close();
    if (phase.is === "waiting") phase.cancel();
    for (const fail of [...this.#leaving]) fail(new Error("the attempt was given up"));
  }

  // --- attempts

  #begin(): void {
    const { world, events, tokens } = this.#parts;
    this.#abandon();
    const turn = this.#turn;
    this.#lastBegin = world.now();
    this.#phase = { is: "starting" };
    events.changed({ state: "connecting", code: 0, reason: "", willRetry: true });
    if (turn !== this.#turn) return;
    tokens.get(this.#leaving).then(
      (token) => {
        if (turn === this.#turn) this.#open(token);
      },
      (error: unknown) => {
        if (turn === this.#turn) this.#retry(0, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #open(token: string | undefined): void {
    const { world, base, limits, events, debug } = this.#parts;
    const home = events.home();
    const { WebSocket } = world;
    const isBlocked = world.now() < this.#blockedUntil;
    this.#uses = WebSocket && !isBlocked ? "socket" : "requests";
    const opened = () => this.#opened(home, token);
    const ended = (ending: Ending) => this.#ended(ending, home, token);
    const { located, message, refused } = events;
    const reported = { located, message, refused, opened, ended };
    const parts = { world, base, token, home, limits, debug, events: reported };
    try {
      const transport = new Transport(isBlocked ? undefined : WebSocket, parts);
      this.#phase = { is: "opening", transport };
    } catch (error) {
      // Whatever is wrong with the address or the page stays so.
      this.#fail(new Refused("invalid", `the connection can't be opened: ${error}`), 0);
    }
  }

  #opened(home: Home, token: string | undefined): void {
    const { world, events } = this.#parts;
    const phase = this.#phase;
    if (phase.is !== "opening") return;
    const { transport } = phase;
    this.#phase = { is: "open", since: world.now(), transport };
    // Requests are let through without a token until they need one.
    if (this.#uses === "socket") this.#refusals = this.#blocked = 0;
    if (token !== undefined) this.#renewBefore(token, transport);
    events.opened(transport, home);
    if (!this.#isOpen(transport)) return;
    events.changed({ state: "connected", code: 0, reason: "", willRetry: true });
  }

  #isOpen(transport: Transport): boolean {
    return this.#phase.is === "open" && this.#phase.transport === transport;
  }

  #renewBefore(token: string, transport: Transport): void {
    const { world, tokens } = this.#parts;
    const wait = tokens.areRenewable ? untilRenewal(token, world.date()) : undefined;
    if (wait !== undefined) this.#cancelRenewal = world.later(wait, () => this.#renew(transport));
  }

  #renew(transport: Transport): void {
    const { world, tokens } = this.#parts;
    const renewed = async () => {
      const token = await tokens.get(this.#leaving);
      if (token === undefined || !this.#isOpen(transport)) return;
      // What is refused isn't better when it is sent again; the token before is good until its end.
      await transport.renew(token).catch((error: unknown) => {
        if (!(error instanceof Refused) || isTemporary(error.code)) throw error;
      });
      if (this.#isOpen(transport)) this.#renewBefore(token, transport);
    };
    renewed().catch(() => {
      if (this.#isOpen(transport))
        this.#cancelRenewal = world.later(RENEW_AGAIN, () => this.#renew(transport));
    });
  }

  // --- the end of an attempt

  #ended(ending: Ending, home: Home, token: string | undefined): void {
    const { world, events } = this.#parts;
    const phase = this.#phase;
    this.#abandon();
    if (phase.is === "open" && world.now() - phase.since >= MIN_UPTIME) this.#failures = this.#refusals = 0;
    const turn = this.#turn;
    this.#phase = { is: "probing" };
    if (phase.is === "open") events.lost(ending.code === TOO_BIG);
    if (turn !== this.#turn) return;
    if (ending.code !== 0 && this.#uses === "socket") this.#judgeClosing(ending);
    else this.#askWhy(home, token, ending);
  }

  /** A WebSocket that doesn't open, and a request that a page sends, don't say why; a request to poll does. */
  #askWhy(home: Home, token: string | undefined, { reason }: Ending): void {
    const { world, base } = this.#parts;
    const turn = this.#turn;
    probe(world, base, token, home.channel, this.#leaving).then((answer) => {
      if (turn !== this.#turn) return;
      // Requests have told each channel and announcement why it is refused.
      if (this.#uses === "requests" && answer?.status !== 401) {
        this.#retry(0, reason);
        return;
      }
      if (answer) {
        this.#judge(answer, home.channel);
        return;
      }
      this.#blocked += 1;
      if (this.#blocked >= BLOCKED_AFTER) this.#blockedUntil = world.now() + BLOCKED_FOR;
      this.#retry(0, "WebSockets don't get through");
    });
  }

  #judgeClosing({ code, reason }: Ending): void {
    const { limits, tokens } = this.#parts;
    const fault = parseReason(reason);
    if (fault?.code === "rate") limits.slowDown();
    if (fault?.code === "limit") limits.inFlight = Math.max(1, Math.floor(limits.inFlight / 2));
    const error = judgeClosing(fault, tokens.areRenewable);
    if (error) this.#fail(error, code);
    else this.#retry(code, reason);
  }

  #judge(answer: Answer, channel: string | undefined): void {
    const { events, tokens, limits } = this.#parts;
    const { status, code, said, retryAfter } = answer;
    if (code === "rate") limits.slowDown();
    if (status === 401) this.#refusals += 1;
    const error = judgeAnswer(answer, tokens.areRenewable, this.#refusals);
    if (error && (status === 401 || channel === undefined)) {
      this.#fail(error, status);
      return;
    }
    const turn = this.#turn;
    // Elsewhere it may connect.
    if (error && channel !== undefined) events.homeRefused(channel, error);
    if (turn === this.#turn) this.#retry(status, code ? `${code}: ${clauseOf(said)}` : said, retryAfter);
  }

  #fail(error: Refused, code: number): void {
    this.stop();
    this.#parts.events.failed(error, code);
  }

  #retry(code: number, reason: string, retryAfter = 0): void {
    const { world, events } = this.#parts;
    const wait = backoff(world, this.#failures, retryAfter);
    this.#failures += 1;
    const cancel = world.later(wait, () => this.#begin());
    this.#phase = { is: "waiting", cancel, isAsked: retryAfter > 0 };
    events.changed({ state: "disconnected", code, reason: cut(reason), willRetry: true });
  }

  /** The machine was asleep, the page hidden, or there is another network. */
  #wake(): void {
    const phase = this.#phase;
    const now = this.#parts.world.now();
    if (phase.is === "open") phase.transport.check();
    else if (phase.is === "waiting") {
      if (!phase.isAsked && now - this.#lastBegin >= BETWEEN_WAKES) this.#begin();
    } else if (phase.is !== "idle" && now - this.#lastBegin >= HANGING) this.#begin();
  }
}

/** A reason may be a page of HTML. */
function cut(reason: string): string {
  return reason.length > 300 ? `${reason.slice(0, 300)}…` : reason;
}
