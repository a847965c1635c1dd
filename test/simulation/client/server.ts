/** A simplified server: one object with all channels. */
import { type Command, parseCommand } from "../../../src/protocol/commands.ts";
import { type ErrorCode, formatReason } from "../../../src/protocol/errors.ts";
import { formatChange, type Member, type MemberChange, presenceOf, subjectOf } from "../../../src/protocol/members.ts";
import { REVOKED } from "../../../src/protocol/refusals.ts";
import {
  formatError,
  formatGap,
  formatMemberOf,
  formatMembers,
  formatMessage,
  formatOnce,
  formatPosition,
} from "../../../src/protocol/replies.ts";
import { utf8Length } from "../../../src/protocol/text.ts";
import { Breach, type Pending, type SimulatedEnvironment } from "./environment.ts";

/** A channel to which no token grants access. */
export const SECRET = "secret";
/** A channel without history. */
export const FLEETING = "fleeting";

/** A member's name that no token grants. */
export const FORBIDDEN_NAME = "I";
/** A channel that tokens sometimes don't grant to enter. */
export const GUARDED = "b";

/** How long members without connections stay present, in milliseconds. */
const GRACE = 15_000;

/** A member of a channel: its data, its connections, and when it leaves if it has none. */
interface Present {
  data: string;
  sessions: Set<Session>;
  deadline: number;
}

interface ChannelState {
  /** The position of the newest message that has reached the client's object. */
  head: number;
  /** Changes of members on their way from the root. */
  link: Pending[];
  /** The newest messages, up to `head`. */
  log: string[];
  keys: Map<string, { text: string; position: number }>;
}

/** The server's side of a connection or stream. */
export class Session {
  readonly send: (lines: string) => void;
  readonly close: (code: number, reason: string) => void;
  readonly channels = new Set<string>(["all"]);
  /** As whom it has entered which channel. */
  readonly entered = new Map<string, Member>();
  /** Whether its token doesn't grant to enter the channel `GUARDED`. */
  isGuarded = false;
  /** Commands that await the reply to an earlier one. */
  backlog: (() => void)[] | undefined;
  isOver = false;
  /** Whether it is a streamed response. */
  isStream = false;
  token: string | undefined;
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
  readonly #members = new Map<string, Map<string, Present>>();
  /** The number of the newest revoked token. */
  #revoked = 0;
  /** Whether new tokens don't grant to enter the channel `GUARDED`. */
  isGuarding = false;
  /** All changes of each channel's members. */
  readonly changes = new Map<string, MemberChange[]>();
  /** All `enter` commands that were carried out. */
  readonly entries: ({ channel: string } & Member)[] = [];
  /** For each list that was sent, the number of changes before it, by channel. */
  readonly lists = new Map<string, number[]>();

  constructor(environment: SimulatedEnvironment, settings: Settings) {
    this.#environment = environment;
    this.settings = settings;
  }

  channel(name: string): ChannelState {
    const state = this.#channels.get(name) ?? { head: 1_000, link: [], log: [], keys: new Map() };
    this.#channels.set(name, state);
    return state;
  }

  /** Returns the fault of a token; undefined if it is valid. */
  fault(token: string | undefined): { status: number; code: ErrorCode; why: string } | undefined {
    if (!this.settings.needsTokens) return undefined;
    if (token === undefined) return { status: 401, code: "forbidden", why: "a token is missing" };
    if (token.startsWith("forged")) return { status: 401, code: "invalid", why: "the token is forged" };
    if (this.isRevoked(token)) return { status: 401, code: "revoked", why: REVOKED };
    if (this.#environment.date <= expiryOf(token)) return undefined;
    return { status: 401, code: "expired", why: "the token has expired" };
  }

  /** Closes sessions whose token has expired, and ends the grace of members. */
  expire(): void {
    for (const [channel, members] of this.#members) {
      for (const [member, { sessions, deadline }] of members) {
        if (sessions.size === 0 && deadline <= this.#environment.now) this.#change(channel, { kind: "leave", member });
      }
    }
    for (const session of this.sessions) {
      if (this.#environment.date > session.expiresAt) this.end(session, 1008, "expired: your token has expired");
    }
  }

  /** Revokes all tokens up to a number, and ends their sessions. */
  revoke(number: number): void {
    this.#revoked = number;
    for (const session of this.sessions) this.#endRevoked(session);
  }

  isRevoked(token: string | undefined): boolean {
    return token !== undefined && claimsOf(token).number <= this.#revoked;
  }

  #endRevoked(session: Session): void {
    if (!this.isRevoked(session.token)) return;
    if (session.isStream) session.send(formatError({ code: "revoked", command: "connect", why: REVOKED }));
    this.end(session, 1008, formatReason({ code: "revoked", why: REVOKED }));
  }

  end(session: Session, code: number, reason: string): void {
    if (session.isOver) return;
    this.drop(session);
    session.close(code, reason);
  }

  /** Removes a session; its members may come back for a while. */
  drop(session: Session): void {
    session.isOver = true;
    this.sessions.delete(session);
    for (const channel of session.entered.keys()) this.#withdraw(session, channel, GRACE);
  }

  begin(session: Session, token: string | undefined): void {
    if (token !== undefined) session.expiresAt = expiryOf(token) + 5_000;
    session.token = token;
    session.allowed = session.tolerated = this.settings.linesPerSecond;
    session.isGuarded = this.isGuarding;
    this.sessions.add(session);
    // It may have been revoked since the check.
    this.#endRevoked(session);
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
      const { draw } = run;
      this.#perform(session, () => this.#execute(session, line, i < allowed, draw));
    }
  }

  /** Runs a command when the earlier ones have taken effect. */
  #perform(session: Session, act: () => void): void {
    if (session.backlog) session.backlog.push(act);
    else if (!session.isOver) act();
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
    const isPresence = ["enter", "leave", "members"].includes(command.kind);
    if (command.kind === "unsubscribe") session.channels.delete(command.channel);
    else if (isPresence && draw === 2) refuse("rate", "too fast");
    else if (draw === 1) refuse("unavailable", "not now");
    else if (command.kind === "leave") this.leave(session, command.channel);
    else if (nameOf(command.channel) === SECRET) refuse("forbidden", "your token doesn't grant this channel");
    else if (command.kind === "subscribe") this.resume(session, command.channel, command.from, refuse);
    else if (command.kind === "enter" || command.kind === "members") this.#executePresence(session, command, refuse);
    else this.#announce(session, command, draw, refuse);
  }

  #executePresence(
    session: Session,
    command: Extract<Command, { kind: "enter" | "members" }>,
    refuse: (code: ErrorCode, why: string) => void,
  ): void {
    const { channel } = command;
    const isForbidden =
      command.kind === "enter" && (command.member === FORBIDDEN_NAME || (channel === GUARDED && session.isGuarded));
    if (channel === FLEETING) refuse("no-history", "this server has no presence");
    else if (isForbidden) refuse("forbidden", "your token doesn't grant this");
    else if (command.kind === "enter") this.enter(session, channel, command);
    else this.#sendList(session, channel);
  }

  /** Sends a list that the root has just made, after the root's reply has arrived; messages may overtake it. */
  #sendList(session: Session, channel: string): void {
    const { position, members } = this.list(channel);
    const lines = members.map((member) => formatMemberOf(channel, member));
    const backlog: (() => void)[] = [];
    session.backlog = backlog;
    const send = () => {
      if (session.isOver) return;
      session.backlog = undefined;
      session.send(formatMembers(channel, position, members.length) + lines.join(""));
      for (const act of backlog) this.#perform(session, act);
    };
    this.#environment.enqueue([], { label: `the members of ${channel} at ${position}`, run: send });
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
    session.token = token;
    session.isGuarded = this.isGuarding;
    if (session.isGuarded) this.leave(session, GUARDED);
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
    this.announced.set(text, { channel: name, position: channel.head, order: this.announced.size });
    if (key !== undefined) channel.keys.set(key, { text, position: channel.head });
    this.#append(name, text);
    return channel.head;
  }

  #append(name: string, text: string): void {
    const { log } = this.channel(name);
    log.push(text);
    if (log.length > this.settings.retained) log.shift();
    for (const session of this.sessions) {
      if (session.channels.has(name)) session.send(formatMessage(name, text));
    }
  }

  // --- presence

  membersOf(channel: string): Map<string, Present> {
    const members = this.#members.get(channel) ?? new Map<string, Present>();
    this.#members.set(channel, members);
    return members;
  }

  /** Returns the members of a channel, sorted. */
  list(channel: string): { position: number; members: Member[] } {
    const before = this.changes.get(channel)?.length ?? 0;
    this.lists.set(channel, [...(this.lists.get(channel) ?? []), before]);
    const members = [...this.membersOf(channel)].map(([member, { data }]) => ({ member, data }));
    members.sort((a, b) => (a.member < b.member ? -1 : 1));
    const { head, link } = this.channel(presenceOf(channel));
    return { position: head + link.length, members };
  }

  enter(session: Session, channel: string, { member, data }: Member): void {
    this.entries.push({ channel, member, data });
    if (session.entered.get(channel)?.member !== member) this.#withdraw(session, channel, 0);
    const known = this.membersOf(channel).get(member);
    if (known?.data !== data) this.#change(channel, { kind: known ? "update" : "enter", member, data });
    this.membersOf(channel).get(member)?.sessions.add(session);
    session.entered.set(channel, { member, data });
  }

  leave(session: Session, channel: string): void {
    this.#withdraw(session, channel, 0);
  }

  /** Ends a session's presence. @param grace how long its member may come back, in milliseconds */
  #withdraw(session: Session, channel: string, grace: number): void {
    const { member = "" } = session.entered.get(channel) ?? {};
    session.entered.delete(channel);
    const present = this.membersOf(channel).get(member);
    if (!present?.sessions.delete(session) || present.sessions.size > 0) return;
    if (grace === 0) this.#change(channel, { kind: "leave", member });
    else present.deadline = this.#environment.now + grace;
  }

  #change(channel: string, change: MemberChange): void {
    const members = this.membersOf(channel);
    if (change.kind === "leave") members.delete(change.member);
    else {
      const present = members.get(change.member) ?? { data: "", sessions: new Set(), deadline: 0 };
      members.set(change.member, { ...present, data: change.data });
    }
    this.changes.set(channel, [...(this.changes.get(channel) ?? []), change]);
    const name = presenceOf(channel);
    const state = this.channel(name);
    const arrive = () => {
      state.head += 1;
      this.#append(name, formatChange(change));
    };
    this.#environment.enqueue(state.link, { label: `${name}!${formatChange(change)} arrives`, run: arrive });
  }

  /** Delivers all changes that are on their way. */
  #catchUp(name: string): void {
    const { link } = this.channel(name);
    for (let [next] = link; next; [next] = link) {
      link.shift();
      next.run();
    }
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
    if (nameOf(name) === FLEETING && from) refuse("no-history", "this channel retains no messages");
    session.channels.add(name);
    if (nameOf(name) === FLEETING || !from) return;
    if (!isNow) this.#catchUp(name);
    const { head, log } = this.channel(name);
    const oldest = head - log.length;
    const since = "last" in from ? Math.max(oldest, head - from.last) : from.since;
    const wanted = since === "now" ? head : since;
    const after = wanted > head ? head : Math.max(wanted, oldest);
    if (after !== wanted) session.send(formatGap(name, wanted, after));
    session.send(formatPosition(name, after));
    for (const text of log.slice(log.length - (head - after))) session.send(formatMessage(name, text));
  }
}

/** Commands that the server may ignore without a reply. */
const MAY_BE_IGNORED = ["ping", "once", "subscribe", "token"];

/** Returns the channel that decides whether a channel may be used: a presence channel is like its subject. */
export function nameOf(channel: string): string {
  return subjectOf(channel) ?? channel;
}

function channelOf(line: string) {
  const [verb = "", first = "", second = ""] = line.split(" ", 3);
  const argument = ["once", "announce", "subscribe", "unsubscribe", "enter", "leave", "members"].includes(verb)
    ? first
    : undefined;
  return { verb, argument, channel: verb === "once" ? second : first };
}

/** Returns a token's expiry, in milliseconds since 1970. */
export function expiryOf(token: string): number {
  return claimsOf(token).exp * 1_000;
}

/** Returns a token's expiry, in Unix seconds, and its number: tokens are numbered from 1. */
function claimsOf(token: string): { exp: number; number: number } {
  const [, payload = ""] = token.split(".");
  return JSON.parse(Buffer.from(payload, "base64url").toString());
}
