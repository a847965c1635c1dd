/** A server that answers as the real one does, kept simple: one object with all channels. */
import { type Command, parseCommand } from "../../../src/protocol/commands.ts";
import { type ErrorCode, formatReason } from "../../../src/protocol/errors.ts";
import {
  formatError,
  formatGap,
  formatMessage,
  formatOnce,
  formatPosition,
} from "../../../src/protocol/replies.ts";
import { utf8Length } from "../../../src/protocol/text.ts";
import { Breach, type SimulatedEnvironment } from "./environment.ts";

/** A channel to which no token grants access. */
export const SECRET = "secret";
/** A channel that retains nothing. */
export const FLEETING = "fleeting";

interface Kept {
  head: number;
  /** The newest messages, up to `head`. */
  log: string[];
  keys: Map<string, { text: string; position: number }>;
}

/** A client's connection or stream, as the server sees it. */
export class Session {
  readonly say: (lines: string) => void;
  readonly close: (code: number, reason: string) => void;
  readonly channels = new Set<string>(["all"]);
  isOver = false;
  /** Whether it is the body of a response. */
  isStream = false;
  /** Until when its token is good. */
  until = Number.POSITIVE_INFINITY;
  allowed = 0;
  excess = 0;
  at: number;

  constructor(say: (lines: string) => void, close: (code: number, reason: string) => void, now: number) {
    this.say = say;
    this.close = close;
    this.at = now;
  }
}

export interface Settings {
  maxLineBytes: number;
  maxFrameBytes: number;
  linesPerSecond: number;
  /** Messages that a channel retains. */
  retained: number;
  needsTokens: boolean;
}

export class Server {
  readonly #environment: SimulatedEnvironment;
  readonly settings: Settings;
  readonly #channels = new Map<string, Kept>();
  readonly sessions = new Set<Session>();
  /** Where each message is: texts are unique. A position is undefined where nothing is retained. */
  readonly places = new Map<string, { channel: string; position: number; order: number }>();
  /** Whether commands may fail. */
  fails = false;

  constructor(environment: SimulatedEnvironment, settings: Settings) {
    this.#environment = environment;
    this.settings = settings;
  }

  channel(name: string): Kept {
    const kept = this.#channels.get(name) ?? { head: 1_000, log: [], keys: new Map() };
    this.#channels.set(name, kept);
    return kept;
  }

  /** Says what is wrong with a token: a status and a code; undefined if nothing is. */
  fault(token: string | undefined): { status: number; code: ErrorCode; why: string } | undefined {
    if (!this.settings.needsTokens) return undefined;
    if (token === undefined) return { status: 401, code: "forbidden", why: "a token is missing" };
    if (token.startsWith("forged")) return { status: 401, code: "invalid", why: "the token is forged" };
    if (this.#environment.date <= endOf(token)) return undefined;
    return { status: 401, code: "expired", why: "the token has expired" };
  }

  /** Ends sessions whose token has ended. */
  expire(): void {
    for (const session of this.sessions) {
      if (this.#environment.date > session.until) this.end(session, 1008, "expired: your token has expired");
    }
  }

  end(session: Session, code: number, reason: string): void {
    if (session.isOver) return;
    session.isOver = true;
    this.sessions.delete(session);
    session.close(code, reason);
  }

  begin(session: Session, token: string | undefined): void {
    if (token !== undefined) session.until = endOf(token) + 5_000;
    session.allowed = session.excess = this.settings.linesPerSecond;
    this.sessions.add(session);
  }

  // --- commands

  receive(session: Session, frame: string) {
    if (session.isOver) return;
    if (utf8Length(frame) > this.settings.maxFrameBytes) {
      this.end(
        session,
        1009,
        formatReason({ code: "limit", why: `a frame has at most ${this.settings.maxFrameBytes} bytes` }),
      );
      return;
    }
    const lines = frame.split("\n").filter((line) => line !== "");
    this.#refill(session);
    const allowed = Math.min(lines.length, Math.floor(session.allowed));
    session.allowed -= allowed;
    session.excess -= lines.length - allowed;
    if (session.excess < 0) return this.end(session, 1008, "rate: far more lines than that");
    let run: { channel: string; fate: number } | undefined;
    for (const [i, line] of lines.entries()) {
      const { channel } = channelOf(line);
      // Announcements in a row on a channel are one step, which fails as a whole.
      if (run?.channel !== channel) run = { channel, fate: this.fails ? this.#environment.choose(24) : 0 };
      this.#carryOut(session, line, i < allowed, run.fate);
    }
  }

  #refill(session: Session): void {
    const { linesPerSecond: most } = this.settings;
    const refill = ((this.#environment.now - session.at) * most) / 1_000;
    session.at = this.#environment.now;
    session.allowed = Math.min(most, session.allowed + refill);
    session.excess = Math.min(most, session.excess + refill);
  }

  #carryOut(session: Session, line: string, isAllowed: boolean, fate: number) {
    const { verb, argument } = channelOf(line);
    const refuse = (code: ErrorCode, why: string) =>
      session.say(formatError({ code, command: verb, argument, why }));
    if (!isAllowed) return refuse("rate", "too many lines; send this again later");
    if (utf8Length(line) > this.settings.maxLineBytes) return refuse("limit", "a line is too long");
    const command = parseCommand(line);
    if (command.kind === "refused") throw new Breach(`the client sends '${line}': ${command.refusal.why}`);
    if (command.kind === "empty") return;
    if (MAY_BE_LOST.includes(command.kind) && (fate === 4 || fate === 5)) return;
    if ("channel" in command) this.#carryOutOn(session, command, fate, refuse);
    else if (command.kind === "token") this.#renew(session, command.token, refuse);
    else if (command.kind === "ping") session.say(`${Math.floor(this.#environment.date / 1_000)}\n`);
    else session.say(command.kind === "info" ? "channels: 3\n" : "debug!alive\n");
  }

  #carryOutOn(
    session: Session,
    command: Extract<Command, { channel: string }>,
    fate: number,
    refuse: (code: ErrorCode, why: string) => void,
  ): void {
    if (command.kind === "unsubscribe") session.channels.delete(command.channel);
    else if (fate === 1) refuse("unavailable", "not now");
    else if (command.channel === SECRET) refuse("forbidden", "your token doesn't grant this channel");
    else if (command.kind === "subscribe") this.resume(session, command.channel, command.from, refuse);
    else this.#announce(session, command, fate, refuse);
  }

  #announce(
    session: Session,
    command: { kind: "announce" | "once"; channel: string; message: string; key?: string },
    fate: number,
    refuse: (code: ErrorCode, why: string) => void,
  ) {
    const { kind, channel, message, key } = command;
    if (kind === "once" && channel === FLEETING)
      return refuse("no-history", "this channel retains no messages");
    if (kind === "announce" && channel !== FLEETING)
      throw new Breach(`'${message}' is announced without a key`);
    if (fate === 2) return refuse("uncertain", "it may be lost");
    const outcome = this.announce(channel, message, key);
    if (fate === 3) refuse("uncertain", "it may be lost");
    else if (outcome === "conflict")
      refuse("conflict", "this key was used for another message on this channel");
    else if (key !== undefined) session.say(formatOnce(key, outcome));
  }

  #renew(session: Session, token: string, refuse: (code: ErrorCode, why: string) => void) {
    const fault = this.fault(token);
    if (fault) return refuse(fault.code, fault.why);
    session.until = endOf(token) + 5_000;
    session.say(`debug!token accepted until ${Math.floor(session.until / 1_000)}\n`);
  }

  // --- channels

  /** Announces a message, once for a key. @returns its position */
  announce(name: string, text: string, key: string | undefined): number | "conflict" {
    const channel = this.channel(name);
    const known = key === undefined ? undefined : channel.keys.get(key);
    if (known) return known.text === text ? known.position : "conflict";
    if (this.places.has(text)) throw new Breach(`'${text}' is announced twice`);
    channel.head += 1;
    channel.log.push(text);
    if (channel.log.length > this.settings.retained) channel.log.shift();
    this.places.set(text, { channel: name, position: channel.head, order: this.places.size });
    if (key !== undefined) channel.keys.set(key, { text, position: channel.head });
    for (const session of this.sessions) {
      if (session.channels.has(name)) session.say(formatMessage(name, text));
    }
    return channel.head;
  }

  /** Subscribes a session from somewhere on. */
  resume(
    session: Session,
    name: string,
    from: { since: number | "now" } | { last: number } | undefined,
    refuse: (code: ErrorCode, why: string) => void,
  ) {
    const isNow = from !== undefined && "since" in from && from.since === "now";
    if (session.channels.has(name) && from && !isNow)
      return refuse("invalid", "you are subscribed to this channel");
    if (name === FLEETING && from) refuse("no-history", "this channel retains no messages");
    session.channels.add(name);
    if (name === FLEETING || !from) return;
    const { head, log } = this.channel(name);
    const oldest = head - log.length;
    const wanted =
      "last" in from ? Math.max(oldest, head - from.last) : from.since === "now" ? head : from.since;
    const after = wanted > head ? head : Math.max(wanted, oldest);
    if (after !== wanted) session.say(formatGap(name, wanted, after));
    session.say(formatPosition(name, after));
    for (const text of log.slice(log.length - (head - after))) session.say(formatMessage(name, text));
  }
}

/** Commands that the server may swallow without a reply. */
const MAY_BE_LOST = ["ping", "once", "subscribe", "token"];

function channelOf(line: string) {
  const [verb = "", first = "", second = ""] = line.split(" ", 3);
  const argument = ["once", "announce", "subscribe", "unsubscribe"].includes(verb) ? first : undefined;
  return { verb, argument, channel: verb === "once" ? second : first };
}

/** When a token ends, in milliseconds since 1970. */
export function endOf(token: string): number {
  const [, payload = ""] = token.split(".");
  return JSON.parse(Buffer.from(payload, "base64url").toString()).exp * 1_000;
}
