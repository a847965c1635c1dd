/** A client of the simulated service: sends commands, and checks the replies. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import { type Command, formatCommand } from "../../src/protocol/commands.ts";
import { parseReason } from "../../src/protocol/errors.ts";
import type { From } from "../../src/protocol/positions.ts";
import { parseReply } from "../../src/protocol/replies.ts";
import { Conversation, type Step } from "./conversation.ts";
import type { CoverageGoal } from "./coverage.ts";
import type { Ledger } from "./ledger.ts";
import { Received } from "./received.ts";
import { grantsIn, type Secrets } from "./secrets.ts";
import { isBusy, isSlowConsumer, type Reader, SimulatedSocket } from "./socket.ts";
import { Violation } from "./violation.ts";

/** The service, as its clients see it. */
export interface Surroundings {
  /** The time, in milliseconds. */
  readonly now: number;
  readonly ledger: Ledger;
  /** The secrets that tokens are signed with. */
  readonly secrets: Secrets;
  /** Delivers a client's frame to its object. */
  arrive(client: SimulatedClient, frame: string): void;
  /** Whether the object `home` and the root of `all` agree on the links between them. */
  isLinkedToAll(home: string): boolean;
  /** Whether no fault can affect a client or its links to these channels. */
  isUnaffected(client: SimulatedClient, channels: string[]): boolean;
  /** Whether messages may be lost silently. */
  readonly mayLose: boolean;
  /** Records a coverage goal. */
  cover(goal: CoverageGoal): void;
  /** Whether clients read frames late. */
  readonly readLate: boolean;
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
    this.socket = new SimulatedSocket(this, surroundings.readLate, (goal) => surroundings.cover(goal));
  }

  get open(): boolean {
    return this.ending === undefined;
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
    this.#conversation.begin("subscribe", channel).since = positionIn(from);
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
    this.#offered.push(grantsIn(token).until);
    this.#send([{ kind: "token", token }]);
  }

  /** Resumes the channels that were received before, except the one of the address. */
  catchUp(): void {
    const { paused } = this.received;
    // Unsubscribes from `all` before any of its messages come, because they would come again.
    if (paused.has(EVERYONE) && this.channel !== EVERYONE) this.unsubscribe(EVERYONE);
    for (const [channel, { position }] of paused) {
      if (channel !== this.channel) this.subscribe(channel, { since: position });
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
  }

  /** Notes that the connection has ended, for whatever reason. */
  ended(code: number, reason: string): void {
    this.ending ??= { code, reason };
    this.received.end();
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
    switch (reply.kind) {
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
        if (reply.command === "token") this.#offered.shift();
        this.#conversation.refuse(reply);
        break;
      case "position":
        this.#position(reply.channel, reply.position);
        break;
      case "gap":
        this.received.gap(reply.channel, reply.from, reply.to);
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
    if (step.verb === "unsubscribe" && step.refusals === 0) this.received.pause(step.channel, step.issued);
    this.#checkOwn(step);
  }

  /** Checks that a subscribed client receives its own announcements before the reply to its next ping. */
  #checkOwn({ verb, channel, refusals, issued, messages }: Step): void {
    if ((verb !== "announce" && verb !== "once") || refusals > 0 || this.#surroundings.mayLose) return;
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
    this.received.message(channel, message, reason.issued);
  }

  #position(channel: string, position: number): void {
    const answered = this.#conversation.answeredBy(channel);
    const { issued } = answered ?? { issued: this.#surroundings.now };
    const since = answered?.channel === channel ? answered.since : undefined;
    this.received.position(channel, position, issued, since);
  }
}
