/** A simplified server: one object with all channels. */
import { type Command, parseCommand } from "../../../src/protocol/commands.ts";
import { type ErrorCode, formatReason } from "../../../src/protocol/errors.ts";
import { formatError, formatGap, formatMessage, formatOnce, formatPosition } from "../../../src/protocol/replies.ts";
import { utf8Length } from "../../../src/protocol/text.ts";
import { Breach, type SimulatedEnvironment } from "./environment.ts";

/** A channel to which no token grants access. */
export const SECRET = "secret";
/** A channel without history. */
export const FLEETING = "fleeting";

interface ChannelState {
  head: number;
  /** The newest messages, up to `head`. */
  log: string[];
  keys: Map<string, { text: string; position: number }>;
}

/** The server's side of a connection or stream. */
export class Session {
  readonly send: (lines: string) => void;
  readonly close: (code: number, reason: string) => void;
  readonly channels = new Set<string>(["all"]);
  isOver = false;
  /** Whether it is a streamed response. */
  isStream = false;
  /** When its token expires, in milliseconds since 1970. */
  expiresAt = Number.POSITIVE_INFINITY;
  allowed = 0;
  tolerated = 0;
  at: number;

  constructor(send: (lines: string) => void, close: (code: number, reason: string) => void, now: number) {
    this.send = send;
    this.close = close;
    this.at = now;
  }
}

export interface Settings {
  maxLineBytes: number;
  maxFrameBytes: number;
  linesPerSecond: number;
  /** The number of messages that a channel retains. */
  retained: number;
  needsTokens: boolean;
}

export class Server {
  readonly #environment: SimulatedEnvironment;
  readonly settings: Settings;
  readonly #channels = new Map<string, ChannelState>();
  readonly sessions = new Set<Session>();
  /** All messages by their unique texts. A position is undefined if the channel has no history. */
  readonly announced = new Map<string, { channel: string; position: number; order: number }>();
  /** Whether commands may fail at random. */
  fails = false;

  constructor(environment: SimulatedEnvironment, settings: Settings) {
    this.#environment = environment;
    this.settings = settings;
  }

  channel(name: string): ChannelState {
    const state = this.#channels.get(name) ?? { head: 1_000, log: [], keys: new Map() };
    this.#channels.set(name, state);
    return state;
  }

  /** Returns the fault of a token; undefined if it is valid. */
  fault(token: string | undefined): { status: number; code: ErrorCode; why: string } | undefined {
    if (!this.settings.needsTokens) return undefined;
    if (token === undefined) return { status: 401, code: "forbidden", why: "a token is missing" };
    if (token.startsWith("forged")) return { status: 401, code: "invalid", why: "the token is forged" };
    if (this.#environment.date <= expiryOf(token)) return undefined;
    return { status: 401, code: "expired", why: "the token has expired" };
  }

  /** Closes sessions whose token has expired. */
  expire(): void {
    for (const session of this.sessions) {
      if (this.#environment.date > session.expiresAt) this.end(session, 1008, "expired: your token has expired");
    }
  }

  end(session: Session, code: number, reason: string): void {
    if (session.isOver) return;
    session.isOver = true;
    this.sessions.delete(session);
    session.close(code, reason);
  }

  begin(session: Session, token: string | undefined): void {
    if (token !== undefined) session.expiresAt = expiryOf(token) + 5_000;
    session.allowed = session.tolerated = this.settings.linesPerSecond;
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
    session.tolerated -= lines.length - allowed;
    if (session.tolerated < 0) return this.end(session, 1008, "rate: far too many lines");
    let run: { channel: string; draw: number } | undefined;
    for (const [i, line] of lines.entries()) {
      const { channel } = channelOf(line);
      // Consecutive commands on a channel are one step, which fails as a whole.
      if (run?.channel !== channel) run = { channel, draw: this.fails ? this.#environment.choose(24) : 0 };
      this.#execute(session, line, i < allowed, run.draw);
    }
  }

  #refill(session: Session): void {
    const { linesPerSecond: most } = this.settings;
    const refill = ((this.#environment.now - session.at) * most) / 1_000;
    session.at = this.#environment.now;
    session.allowed = Math.min(most, session.allowed + refill);
    session.tolerated = Math.min(most, session.tolerated + refill);
  }

  #execute(session: Session, line: string, isAllowed: boolean, draw: number) {
    const { verb, argument } = channelOf(line);
    const refuse = (code: ErrorCode, why: string) => session.send(formatError({ code, command: verb, argument, why }));
    if (!isAllowed) return refuse("rate", "too many lines; send this again later");
    if (utf8Length(line) > this.settings.maxLineBytes) return refuse("limit", "a line is too long");
    const command = parseCommand(line);
    if (command.kind === "refused") throw new Breach(`the client sends '${line}': ${command.refusal.why}`);
    if (command.kind === "empty") return;
    if (MAY_BE_IGNORED.includes(command.kind) && (draw === 4 || draw === 5)) return;
    if ("channel" in command) this.#executeOnChannel(session, command, draw, refuse);
    else if (command.kind === "token") this.#renew(session, command.token, refuse);
    else if (command.kind === "ping") session.send(`${Math.floor(this.#environment.date / 1_000)}\n`);
    else session.send(command.kind === "info" ? "channels: 3\n" : "debug!alive\n");
  }

  #executeOnChannel(
    session: Session,
    command: Extract<Command, { channel: string }>,
    draw: number,
    refuse: (code: ErrorCode, why: string) => void,
  ): void {
    if (command.kind === "unsubscribe") session.channels.delete(command.channel);
    else if (draw === 1) refuse("unavailable", "not now");
    else if (command.channel === SECRET) refuse("forbidden", "your token doesn't grant this channel");
    else if (command.kind === "subscribe") this.resume(session, command.channel, command.from, refuse);
    else if (command.kind !== "announce" && command.kind !== "once") refuse("unavailable", "not now");
    else this.#announce(session, command, draw, refuse);
  }

  #announce(
    session: Session,
    command: { kind: "announce" | "once"; channel: string; message: string; key?: string },
    draw: number,
    refuse: (code: ErrorCode, why: string) => void,
  ) {
    const { kind, channel, message, key } = command;
    if (kind === "once" && channel === FLEETING) return refuse("no-history", "this channel retains no messages");
    if (kind === "announce" && channel !== FLEETING) throw new Breach(`'${message}' is announced without a key`);
    if (draw === 2) return refuse("uncertain", "it may be lost");
    const result = this.announce(channel, message, key);
    if (draw === 3) refuse("uncertain", "it may be lost");
    else if (result === "conflict") refuse("conflict", "this key was used for another message on this channel");
    else if (key !== undefined) session.send(formatOnce(key, result));
  }

  #renew(session: Session, token: string, refuse: (code: ErrorCode, why: string) => void) {
    const fault = this.fault(token);
    if (fault) return refuse(fault.code, fault.why);
    session.expiresAt = expiryOf(token) + 5_000;
    session.send(`debug!token accepted until ${Math.floor(session.expiresAt / 1_000)}\n`);
  }

  // --- channels

  /** Announces a message, deduplicated by its key. @returns its position */
  announce(name: string, text: string, key: string | undefined): number | "conflict" {
    const channel = this.channel(name);
    const known = key === undefined ? undefined : channel.keys.get(key);
    if (known) return known.text === text ? known.position : "conflict";
    if (this.announced.has(text)) throw new Breach(`'${text}' was announced twice`);
    channel.head += 1;
    channel.log.push(text);
    if (channel.log.length > this.settings.retained) channel.log.shift();
    this.announced.set(text, { channel: name, position: channel.head, order: this.announced.size });
    if (key !== undefined) channel.keys.set(key, { text, position: channel.head });
    for (const session of this.sessions) {
      if (session.channels.has(name)) session.send(formatMessage(name, text));
    }
    return channel.head;
  }

  /** Subscribes a session, starting at a position. */
  resume(
    session: Session,
    name: string,
    from: { since: number | "now" } | { last: number } | undefined,
    refuse: (code: ErrorCode, why: string) => void,
  ) {
    const isNow = from !== undefined && "since" in from && from.since === "now";
    if (session.channels.has(name) && from && !isNow) return refuse("invalid", "you are subscribed to this channel");
    if (name === FLEETING && from) refuse("no-history", "this channel retains no messages");
    session.channels.add(name);
    if (name === FLEETING || !from) return;
    const { head, log } = this.channel(name);
    const oldest = head - log.length;
    const wanted = "last" in from ? Math.max(oldest, head - from.last) : from.since === "now" ? head : from.since;
    const after = wanted > head ? head : Math.max(wanted, oldest);
    if (after !== wanted) session.send(formatGap(name, wanted, after));
    session.send(formatPosition(name, after));
    for (const text of log.slice(log.length - (head - after))) session.send(formatMessage(name, text));
  }
}

/** Commands that the server may ignore without a reply. */
const MAY_BE_IGNORED = ["ping", "once", "subscribe", "token"];

function channelOf(line: string) {
  const [verb = "", first = "", second = ""] = line.split(" ", 3);
  const argument = ["once", "announce", "subscribe", "unsubscribe"].includes(verb) ? first : undefined;
  return { verb, argument, channel: verb === "once" ? second : first };
}

/** Returns a token's expiry, in milliseconds since 1970. */
export function expiryOf(token: string): number {
  const [, payload = ""] = token.split(".");
  return JSON.parse(Buffer.from(payload, "base64url").toString()).exp * 1_000;
}
