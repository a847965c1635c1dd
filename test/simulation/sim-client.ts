/** A client of the simulated service: sends commands, and checks the replies. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import { type Command, formatCommand } from "../../src/protocol/commands.ts";
import { parseReason, type Refusal } from "../../src/protocol/errors.ts";
import { type MemberChange, presenceOf, subjectOf } from "../../src/protocol/members.ts";
import type { From } from "../../src/protocol/positions.ts";
import { parseReply } from "../../src/protocol/replies.ts";
import type { Member } from "../../src/runtime/calls.ts";
import { Conversation, type Step } from "./conversation.ts";
import type { CoverageGoal } from "./coverage.ts";
import type { Histories, Resumed } from "./histories.ts";
import type { Ledger } from "./ledger.ts";
import { MEMBER_CHANNELS, type MembersTruth } from "./members-truth.ts";
import { Presences } from "./presences.ts";
import { Received } from "./received.ts";
import { grantsIn, type Secrets } from "./secrets.ts";
import { isBusy, isSlowConsumer, type Reader, SimulatedSocket } from "./socket.ts";
import { check, Violation } from "./violation.ts";
import { type WatchedService, Watching } from "./watching.ts";

/** The service, as its clients see it. */
export interface Surroundings {
  /** The time, in milliseconds. */
  readonly now: number;
  readonly ledger: Ledger;
  /** What the roots of channels retain. */
  readonly histories: Histories;
  /** The secrets that tokens are signed with. */
  readonly secrets: Secrets;
  /** Delivers a client's frame to its object. */
  arrive(client: SimulatedClient, frame: string): void;
  /** Whether the object `home` and the root of `all` agree on the links between them. */
  isLinkedToAll(home: string): boolean;
  /** Whether no fault can affect a client or its links to these channels. */
  isUnaffected(client: SimulatedClient, channels: string[]): boolean;
  /** Whether messages of a channel may be lost silently. */
  mayLose(channel: string): boolean;
  /** Records a coverage goal. */
  cover(goal: CoverageGoal): void;
  /** What happened, for people to read. */
  readonly trace: string[];
  /** Whether clients read frames late. */
  readonly readLate: boolean;
  /** Who is present as whom. */
  readonly members: MembersTruth;
  /** What clients that watch members may rely on. */
  readonly watched: WatchedService;
  /** Whether grants may leave no room for a member. */
  readonly hasLongGrants: boolean;
  /** Whether the server must carry out every command to enter or leave, unless it is forbidden or a channel is full. */
  readonly isReliable: boolean;
}

/** A list of members that is being read. */
interface ListReply {
  channel: string;
  position: number;
  count: number;
  list: Member[];
}

function positionIn(from: From | undefined): number | undefined {
  return from && "since" in from && from.since !== "now" ? from.since : undefined;
}

export class SimulatedClient implements Reader {
  readonly name: string;
  /** The channel it connected to. */
  readonly channel: string;
  readonly socket: SimulatedSocket;
  readonly received: Received;
  /** When it connected. */
  readonly connected: number;
  /** The object it is connected to. */
  home = "";
  /** How the connection ended; undefined while it is open. */
  ending: { code: number; reason: string } | undefined;
  /** When this client was first certain to receive `all`. */
  receivesAllSince: number | undefined;
  /** When its token expires. */
  until = Number.POSITIVE_INFINITY;
  /** When the tokens expire that it has sent without having a reply. The connection may end before the reply comes. */
  readonly #offered: number[] = [];
  readonly #surroundings: Surroundings;
  readonly #conversation: Conversation;
  /** Whether a frame was sent to it over links that may have been affected by the last fault. */
  #isAffected = false;
  #isGreeted = false;
  /** When the server closed the connection. */
  #closed: number | undefined;
  readonly presences: Presences;
  /** What it knows of members, by channel. */
  readonly watching: ReadonlyMap<string, Watching>;
  #reply: ListReply | undefined;
  /** When it was last subscribed to a channel from whose position it may resume. */
  readonly #left = new Map<string, number>();
  /** Where gaps end that no position has followed yet, by channel. */
  readonly #gaps = new Map<string, number>();
  /** For each `members` without a reply, the position that its list must not precede. */
  readonly #askedAfter: number[] = [];
  /** For each token without a reply, whether it allows to enter. */
  readonly #offeredEnter: boolean[] = [];
  /** Whether its token allows to enter. */
  mayEnter = true;
  /** Number of rotations of the secret when it connected. */
  readonly #rotations: number;
  #messages = 0;

  /** @param since the position to resume the channel from */
  constructor(surroundings: Surroundings, name: string, channel: string, since?: number) {
    this.#surroundings = surroundings;
    this.name = name;
    this.channel = channel;
    this.connected = surroundings.now;
    this.#rotations = surroundings.secrets.rotations;
    this.#conversation = new Conversation(name, channel, since, () => surroundings.now);
    this.received = new Received(name, surroundings);
    this.presences = new Presences(this, surroundings.members);
    const watching = (channel: string) => new Watching(name, channel, surroundings.watched);
    this.watching = new Map(MEMBER_CHANNELS.map((channel) => [channel, watching(channel)]));
    this.socket = new SimulatedSocket(this, surroundings.readLate, (goal) => surroundings.cover(goal));
  }

  get open(): boolean {
    return this.ending === undefined;
  }

  get now(): number {
    return this.#surroundings.now;
  }

  get isReliable(): boolean {
    return this.#surroundings.isReliable;
  }

  get hasLongGrants(): boolean {
    return this.#surroundings.hasLongGrants;
  }

  /** Whether the connection is open at both ends. */
  get isConnected(): boolean {
    return this.open && this.socket.open;
  }

  /** The oldest command without a reply. */
  get unanswered(): string | undefined {
    const { verb, channel } = this.#conversation.next ?? {};
    return verb && `${verb} ${channel}`;
  }

  // --- commands

  /** Announces several messages in one frame. */
  announce(channel: string, count = 1): void {
    const messages = Array.from({ length: count }, () => this.#nextMessage());
    this.#noteAnnouncements(this.#conversation.begin("announce", channel, messages));
    this.#send(messages.map((message) => ({ kind: "announce", channel, message })));
  }

  /** Announces new messages, each under its own key. */
  announceOnce(channel: string, count: number): void {
    const messages = Array.from({ length: count }, () => `${this.#nextMessage().replace(".", "-once")}.1`);
    this.#noteAnnouncements(this.#conversation.begin("once", channel, messages));
    this.#send(messages.map((message) => ({ kind: "once", key: `${channel}:${message}`, channel, message })));
  }

  /** Announces an earlier message again under its key, perhaps another client's. */
  announceAgain(channel: string, message: string): void {
    this.#conversation.begin("once", channel);
    this.#surroundings.ledger.repeat(message);
    this.#send([{ kind: "once", key: `${channel}:${message}`, channel, message }]);
  }

  subscribe(channel: string, from?: From): void {
    // A message received without a position would come again after resuming from an old position.
    if (!from) this.received.paused.delete(channel);
    const watching = this.watching.get(subjectOf(channel) ?? "");
    if (!from && watching) watching.paused = undefined;
    const step = this.#conversation.begin("subscribe", channel);
    step.since = positionIn(from);
    if (from && "last" in from) step.last = from.last;
    this.#send([{ kind: "subscribe", channel, ...(from && { from }) }]);
  }

  unsubscribe(channel: string): void {
    this.#conversation.begin("unsubscribe", channel);
    this.#send([{ kind: "unsubscribe", channel }]);
  }

  ping(): void {
    this.#conversation.begin("ping");
    this.#send([]);
  }

  info(): void {
    this.#conversation.begin("info");
    this.#send([{ kind: "info" }]);
  }

  /** Sends another token. */
  renew(token: string): void {
    this.#conversation.begin("token");
    const { until, enter } = grantsIn(token);
    this.#offered.push(until);
    this.#offeredEnter.push(enter !== undefined);
    if (!enter) this.presences.forgo();
    this.#send([{ kind: "token", token }]);
  }

  enter(channel: string, member: Member): void {
    this.#conversation.begin("enter", channel);
    this.presences.enter(channel, member);
    this.#send([{ kind: "enter", channel, ...member }]);
  }

  leave(channel: string): void {
    this.#conversation.begin("leave", channel);
    this.presences.leave(channel);
    this.#send([{ kind: "leave", channel }]);
  }

  /** Asks for the members of a channel. */
  list(channel: string): void {
    this.#conversation.begin("members", channel);
    this.#surroundings.members.scan();
    this.#askedAfter.push(this.#surroundings.members.log(channel).newest);
    this.#send([{ kind: "members", channel }]);
  }

  /** Resumes the channels that were received before, except the one of the address. */
  catchUp(): void {
    const { paused } = this.received;
    for (const [channel, { left = this.now }] of paused) this.#left.set(channel, left);
    for (const [channel, watching] of this.watching) {
      if (watching.paused) this.#left.set(presenceOf(channel), watching.paused.left ?? this.now);
    }
    // Unsubscribes from `all` before any of its messages come, because they would come again.
    if (paused.has(EVERYONE) && this.channel !== EVERYONE) this.unsubscribe(EVERYONE);
    for (const [channel, { position }] of paused) {
      if (channel !== this.channel) this.subscribe(channel, { since: position });
    }
    for (const [channel, { paused }] of this.watching) {
      if (paused) this.subscribe(presenceOf(channel), { since: paused.position });
    }
  }

  #nextMessage(): string {
    this.#messages += 1;
    return `${this.name}.${this.#messages}`;
  }

  #noteAnnouncements(step: Step): void {
    const { channel, issued } = step;
    const placed = () => (step.refusals > 0 ? undefined : step.done);
    const isKeyed = step.verb === "once";
    for (const message of step.messages) {
      this.#surroundings.ledger.announce(message, { channel, issued, isKeyed, placed });
    }
  }

  /** Sends commands in one frame, with a ping at its end. */
  #send(commands: Command[]): void {
    const lines = [...commands, { kind: "ping" } as const].map(formatCommand);
    this.#surroundings.arrive(this, lines.join("\n"));
  }

  // --- subscriptions

  /** Whether this client has never subscribed to or unsubscribed from a channel. */
  isNewTo(channel: string): boolean {
    return this.#conversation.isNewTo(channel);
  }

  /** Returns the time at which the current subscription to `channel` took effect, if there is one. */
  subscribedSince(channel: string): number | undefined {
    if (!this.open) return undefined;
    const subscription = this.#conversation.subscription(channel);
    if (subscription?.verb === "greeting" && channel === EVERYONE && this.channel !== EVERYONE) {
      return this.receivesAllSince;
    }
    return subscription?.done;
  }

  // --- replies

  sent(): void {
    // The links that this frame came over may be replaced before the client reads it.
    const { channels } = this.#conversation;
    if (!this.#surroundings.isUnaffected(this, channels)) this.#isAffected = true;
  }

  read(frame: string): void {
    if (!frame.endsWith("\n")) throw new Violation(`${this.name} got a frame that ends within a line`);
    const lines = frame.slice(0, -1).split("\n");
    const channels = new Set(lines.flatMap((line) => /^(\w+)!/.exec(line)?.[1] ?? []));
    channels.delete("debug");
    if (channels.size > 1) this.#surroundings.cover("a mixed flush");
    for (const line of lines) this.#readLine(line);
    // A slow client also reads what was sent before its connection ended.
    if (this.ending) this.received.end();
    check(this.#reply === undefined, () => `${this.name} got a frame that ends within a list of members`);
    check(this.#gaps.size === 0, () => `${this.name} got a frame that ends after a gap`);
  }

  /** Notes that the connection has ended, for whatever reason. */
  ended(code: number, reason: string): void {
    if (this.open) this.presences.lost(this.#closed ?? this.now, code === 1006);
    this.ending ??= { code, reason };
    this.received.end();
    for (const watching of this.watching.values()) watching.end();
  }

  closing(): void {
    this.#closed ??= this.now;
  }

  /** Notes that the server closed the connection, which is a violation if nothing has failed since it was opened. */
  closedByServer(code: number, reason: string): void {
    this.ended(code, reason);
    if (reason.startsWith("expired: your token's key")) {
      this.#surroundings.cover("a token outdated");
      if (this.#surroundings.secrets.rotations === this.#rotations)
        throw new Violation(`the token of ${this.name} was as valid as when it connected`);
      return;
    }
    if (parseReason(reason)?.code === "expired") {
      this.#surroundings.cover("a token expired");
      if (this.#surroundings.now < Math.min(this.until, ...this.#offered))
        throw new Violation(`the token of ${this.name} had not expired`);
      return;
    }
    if (this.#surroundings.readLate && isSlowConsumer(reason)) return;
    // The answer to a claim may come late, after the connection has been accepted without it.
    if (isBusy(reason)) return;
    if (!this.#isGreeted || this.#isAffected || !this.#surroundings.isUnaffected(this, [])) return;
    throw new Violation(`${this.name} at ${this.home} was closed although no fault affected it: ${code} ${reason}`);
  }

  #readLine(line: string): void {
    const step = this.#conversation.next;
    const reply = parseReply(line);
    if (step?.verb === "greeting" && reply.kind !== "connected" && reply.kind !== "busy") {
      throw new Violation(`${this.name} read '${line}' before its greeting`);
    }
    check(!this.#reply || reply.kind === "member", () => `${this.name} read '${line}' within a list of members`);
    switch (reply.kind) {
      case "member":
        this.#readMember(reply.channel, { member: reply.member, data: reply.data });
        break;
      case "members":
        this.#readList(reply.channel, reply.position, reply.count);
        break;
      case "connected":
        this.#greeted(step);
        break;
      case "time":
        this.#answered();
        break;
      case "message":
        this.#message(reply.channel, reply.message);
        break;
      case "error":
        this.#refused(reply);
        break;
      case "position":
        this.#position(reply.channel, reply.position);
        break;
      case "gap":
        this.#gap(reply.channel, reply.from, reply.to);
        break;
      case "once":
        if (this.#surroundings.ledger.answeredOnce(reply.key, reply.position))
          this.#surroundings.cover("a duplicate announcement");
        break;
      case "accepted":
        this.#surroundings.cover("a token renewed");
        this.#offered.shift();
        this.until = reply.until * 1000;
        break;
      case "unknown":
        throw new Violation(`${this.name} read '${line}'`);
    }
  }

  #greeted(step: Step | undefined): void {
    if (step?.verb !== "greeting") throw new Violation(`${this.name} was greeted twice`);
    step.done = this.#surroundings.now;
    this.#isGreeted = true;
    if (this.#surroundings.isLinkedToAll(this.home)) this.receivesAllSince = step.done;
  }

  #answered(): void {
    const step = this.#conversation.answer();
    if (step.verb === "unsubscribe" && step.refusals === 0) {
      this.#watchingOn(step.channel)?.pause(step.issued);
      this.received.pause(step.channel, step.issued);
      this.#left.set(step.channel, step.issued);
    }
    if (step.verb === "enter" || step.verb === "leave") this.#carriedOut(step);
    if (step.verb === "members" && step.refusals > 0) this.#checkUnlisted(step);
    if (step.verb === "token") this.#renewed(step);
    this.#checkOwn(step);
  }

  #refused(refusal: Refusal): void {
    const { command, argument = "", code } = refusal;
    const { next } = this.#conversation;
    if (command === "token") this.#offered.shift();
    const isLate = command === "enter" && code === "limit" && !this.#surroundings.isReliable;
    if (isLate && !(next?.verb === "enter" && next.channel === argument && next.refusals === 0)) {
      this.presences.dropped(argument);
    } else this.#conversation.refuse(refusal);
  }

  // --- presence

  #carriedOut({ verb, channel, refusal, issued }: Step): void {
    this.#surroundings.trace.push(`  ${this.name} gets a reply to ${verb} ${channel}: ${refusal ?? "done"}`);
    this.presences.answered(refusal);
    const what = `${this.name} tried to ${verb} ${channel}, and the server says: ${refusal ?? "yes"}`;
    const isForbidden = verb === "enter" && !this.mayEnter;
    check((refusal === "forbidden") === isForbidden, () => what);
    if (refusal === undefined) this.#checkWatched(channel, issued);
    if (refusal === "unavailable") this.#surroundings.cover("presence undone");
    if (refusal === "uncertain") this.#surroundings.cover("a late leave");
    if (!this.#surroundings.isReliable || isForbidden) return;
    check(refusal === undefined || (verb === "enter" && refusal === "limit"), () => what);
  }

  /** Checks that a client that watches a channel receives what it has changed itself before the reply to its next ping. */
  #checkWatched(channel: string, issued: number): void {
    const { isReliable, members } = this.#surroundings;
    const since = this.subscribedSince(presenceOf(channel));
    const { counting } = this.watching.get(channel) ?? {};
    const data = this.presences.settled(channel)?.data;
    // Other clients use no other data twice.
    if (!isReliable || !counting || since === undefined || since > issued || !data) return;
    const isOwn = (change: MemberChange) => change.kind !== "leave" && change.data === data;
    const own = members.log(channel).all.find(({ at, change }) => at >= issued && isOwn(change));
    const isReceived = !own || own.position <= counting.position;
    check(isReceived, () => `${this.name} got a reply before it received ${JSON.stringify(own)}`);
  }

  #renewed({ refusals }: Step): void {
    const mayEnter = this.#offeredEnter.shift() ?? false;
    if (!mayEnter) this.presences.answered(refusals > 0 ? "forbidden" : undefined);
    if (refusals > 0) return;
    if (this.mayEnter && !mayEnter) this.#surroundings.cover("presence renounced");
    this.mayEnter = mayEnter;
  }

  #checkUnlisted({ channel, refusal }: Step): void {
    this.#askedAfter.shift();
    check(!this.#surroundings.isReliable, () => `${this.name} got no list of ${channel}: ${refusal}`);
  }

  #readList(channel: string, position: number, count: number): void {
    const { next } = this.#conversation;
    const isAsked = next?.verb === "members" && next.channel === channel;
    check(isAsked, () => `${this.name} got a list of ${channel} that it hadn't asked for`);
    this.#reply = { channel, position, count, list: [] };
    this.#finishList();
  }

  #readMember(channel: string, member: Member): void {
    check(this.#reply?.channel === channel, () => `${this.name} got a member of ${channel} without a list`);
    this.#reply.list.push(member);
    this.#finishList();
  }

  #finishList(): void {
    if (!this.#reply || this.#reply.list.length < this.#reply.count) return;
    const { channel, position, list } = this.#reply;
    this.#reply = undefined;
    const after = this.#askedAfter.shift() ?? 0;
    this.#surroundings.members.checkList(channel, position, list, after, `the reply to ${this.name}`);
    this.watching.get(channel)?.listed(position, list);
    this.#left.set(presenceOf(channel), this.now);
  }

  #watchingOn(channel: string): Watching | undefined {
    return this.watching.get(subjectOf(channel) ?? "");
  }

  #gap(channel: string, from: number, to: number): void {
    const resumed = this.#resumeOf(channel);
    const what = `${this.name} received a gap of ${channel}, from ${from} to ${to}`;
    check(resumed !== undefined && !this.#gaps.has(channel), () => `${what}, which it didn't ask for`);
    this.#surroundings.histories.checkGap(resumed, from, to, what);
    this.#gaps.set(channel, to);
    const watching = this.#watchingOn(channel);
    if (watching) watching.gap(to);
    else this.received.gap(channel, to);
  }

  /** Returns the resume that a gap or position of a channel replies to; undefined if the client hasn't asked to resume. */
  #resumeOf(channel: string): Resumed | undefined {
    const step = this.#conversation.answeredBy(channel);
    if (step?.channel !== channel || step.since === undefined) return undefined;
    return {
      channel,
      since: step.since,
      asked: step.issued,
      left: this.#left.get(channel) ?? step.issued,
      isAtRoot: this.home === channel,
    };
  }

  /** Checks that a subscribed client receives its own announcements before the reply to its next ping. */
  #checkOwn({ verb, channel, refusals, issued, messages }: Step): void {
    if ((verb !== "announce" && verb !== "once") || refusals > 0 || this.#surroundings.mayLose(channel)) return;
    const since = this.subscribedSince(channel);
    if (since === undefined || since > issued) return;
    const received = this.received.messages.get(channel) ?? [];
    for (const message of messages) {
      if (!received.includes(message))
        throw new Violation(`${this.name} got a reply before it received its own ${message}`);
    }
  }

  #message(channel: string, message: string): void {
    const reason = this.#conversation.reasonFor(channel);
    if (!reason) throw new Violation(`${this.name} received ${message} on ${channel} without a subscription`);
    // It comes again: this client hasn't unsubscribed from `all` yet, from which it will resume.
    if (channel === EVERYONE && !this.received.counting.has(channel) && this.#conversation.willResume(channel)) return;
    const watching = this.#watchingOn(channel);
    if (watching) watching.message(message, reason.issued);
    else this.received.message(channel, message, reason.issued);
  }

  #position(channel: string, position: number): void {
    const resumed = this.#resumeOf(channel);
    const answered = this.#conversation.answeredBy(channel);
    this.#conversation.located(channel);
    const gap = this.#gaps.get(channel);
    this.#gaps.delete(channel);
    const what = `${this.name} is told that ${channel} is at ${position}`;
    check(gap === undefined || gap === position, () => `${what} after a gap up to ${gap}`);
    if (resumed && gap === undefined)
      this.#surroundings.histories.checkComplete(resumed, `${this.name} resumed ${channel}`);
    const since = answered?.channel === channel ? answered.since : undefined;
    if (answered?.last !== undefined && answered.channel === channel && this.home === channel) {
      this.#surroundings.histories.checkLast(channel, position, answered.last, answered.issued, what);
    }
    const watching = this.#watchingOn(channel);
    if (watching) watching.position(position, since);
    else this.received.position(channel, position, since);
  }
}
