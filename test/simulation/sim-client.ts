/** A client of the simulated service: what it sends, and what it makes of the answers. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import { type Command, formatCommand } from "../../src/protocol/commands.ts";
import { parseReason } from "../../src/protocol/errors.ts";
import type { From } from "../../src/protocol/positions.ts";
import { parseReply } from "../../src/protocol/replies.ts";
import { Breach } from "./breach.ts";
import { Conversation, type Step } from "./conversation.ts";
import type { Ledger } from "./ledger.ts";
import type { Rarity } from "./rarities.ts";
import { Reading } from "./reading.ts";
import { grantsIn, type Secrets } from "./secrets.ts";
import { isBusy, isTooLate, type Reader, SimulatedSocket } from "./socket.ts";

/** What a client needs of the service that it is connected to. */
export interface Surroundings {
  /** The time, in milliseconds. */
  readonly now: number;
  readonly ledger: Ledger;
  /** What tokens are made with. */
  readonly secrets: Secrets;
  /** A frame from a client arrives at its object. */
  arrive(client: SimulatedClient, frame: string): void;
  /** Whether the root of `all` and the object `home` both know of a link between them. */
  isLinkedToEveryone(home: string): boolean;
  /** Whether no fault has anything to do with a client, and with these channels that it was let in to. */
  isUnconcerned(client: SimulatedClient, channels: string[]): boolean;
  /** Whether messages may be missing of which nobody is told. */
  readonly mayLose: boolean;
  /** Counts something rare. */
  meet(rarity: Rarity): void;
  /** Whether clients take what is sent to them some time, not at once. */
  readonly areLate: boolean;
}

function positionIn(from: From | undefined): number | undefined {
  return from && "since" in from && from.since !== "now" ? from.since : undefined;
}

export class SimulatedClient implements Reader {
  readonly name: string;
  /** The channel that it connected at. */
  readonly channel: string;
  readonly socket: SimulatedSocket;
  readonly reading: Reading;
  /** When it connected. */
  readonly connected: number;
  /** The object that it is connected to. */
  home = "";
  /** Set once the connection has ended. */
  ending: { code: number; reason: string } | undefined;
  /** When this client could first be sure to hear `all`. */
  hearsEveryoneSince: number | undefined;
  /** When its token ends. */
  until = Number.POSITIVE_INFINITY;
  /** When the tokens end that it has handed in, and has no reply to: closed by one, it may not get that. */
  readonly #offered: number[] = [];
  readonly #surroundings: Surroundings;
  readonly #conversation: Conversation;
  /** Whether something that it was told rests on what was not made sure of after the last fault. */
  #isConcerned = false;
  #isGreeted = false;
  /** How often the secret of tokens had been rotated when this client came. */
  readonly #rotations: number;
  #messages = 0;

  /** @param since the position from which on it wants to hear the channel */
  constructor(surroundings: Surroundings, name: string, channel: string, since?: number) {
    this.#surroundings = surroundings;
    this.name = name;
    this.channel = channel;
    this.connected = surroundings.now;
    this.#rotations = surroundings.secrets.rotations;
    this.#conversation = new Conversation(name, channel, since, () => surroundings.now);
    this.reading = new Reading(name, surroundings);
    this.socket = new SimulatedSocket(this, surroundings.areLate, (rarity) => surroundings.meet(rarity));
  }

  get open(): boolean {
    return this.ending === undefined;
  }

  /** What it has asked for, and has no answer to. */
  get waitsFor(): string | undefined {
    const { verb, channel } = this.#conversation.next ?? {};
    return verb && `${verb} ${channel}`;
  }

  // --- what it sends

  /** Announces several messages in a row. */
  announce(channel: string, count = 1): void {
    const messages = Array.from({ length: count }, () => this.#nextMessage());
    this.#noteAnnouncements(this.#conversation.begin("announce", channel, messages));
    this.#send(messages.map((message) => ({ kind: "announce", channel, message })));
  }

  /** Announces new messages, each under a key of its own. */
  announceOnce(channel: string, count: number): void {
    const messages = Array.from({ length: count }, () => `${this.#nextMessage().replace(".", "-once")}.1`);
    this.#noteAnnouncements(this.#conversation.begin("once", channel, messages));
    this.#send(messages.map((message) => ({ kind: "once", key: `${channel}:${message}`, channel, message })));
  }

  /** Announces somebody's message again, under the key that it had. */
  announceAgain(channel: string, message: string): void {
    this.#conversation.begin("once", channel);
    this.#send([{ kind: "once", key: `${channel}:${message}`, channel, message }]);
  }

  subscribe(channel: string, from?: From): void {
    // What is read without a position would come again from the one before.
    if (!from) this.reading.paused.delete(channel);
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

  /** Hands in another token. */
  renew(token: string): void {
    this.#conversation.begin("token");
    this.#offered.push(grantsIn(token).until);
    this.#send([{ kind: "token", token }]);
  }

  /** Asks for what it has missed of the channels that it has heard before, but for its own one. */
  catchUp(): void {
    const { paused } = this.reading;
    // Before any message of `all` comes, which would come again.
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

  /** In one frame, with a ping behind it. */
  #send(commands: Command[]): void {
    const lines = [...commands, { kind: "ping" } as const].map(formatCommand);
    this.#surroundings.arrive(this, lines.join("\n"));
  }

  // --- what it is subscribed to

  /** Whether this client has never had to do with a channel. */
  isNewTo(channel: string): boolean {
    return this.#conversation.isNewTo(channel);
  }

  /** When this client's subscription to `channel` that still stands took effect; undefined if there is none. */
  subscribedSince(channel: string): number | undefined {
    if (!this.open) return undefined;
    const subscription = this.#conversation.subscription(channel);
    if (subscription?.verb === "greeting" && channel === EVERYONE && this.channel !== EVERYONE) {
      return this.hearsEveryoneSince;
    }
    return subscription?.done;
  }

  // --- what it reads

  sent(): void {
    // What it rests on may be another link when it is read.
    const { channels } = this.#conversation;
    if (!this.#surroundings.isUnconcerned(this, channels)) this.#isConcerned = true;
  }

  read(frame: string): void {
    if (!frame.endsWith("\n")) throw new Breach(`${this.name} got a frame that does not end a line`);
    const lines = frame.slice(0, -1).split("\n");
    const channels = new Set(lines.flatMap((line) => /^(\w+)!/.exec(line)?.[1] ?? []));
    channels.delete("debug");
    if (channels.size > 1) this.#surroundings.meet("a mixed flush");
    for (const line of lines) this.#readLine(line);
  }

  /** The connection has ended, by whatever. */
  ended(code: number, reason: string): void {
    this.ending ??= { code, reason };
    this.reading.end();
  }

  /** The server has closed this connection: it must not if nothing has failed since that was opened. */
  sentAway(code: number, reason: string): void {
    this.ended(code, reason);
    if (reason.startsWith("expired: your token's key")) {
      this.#surroundings.meet("a token outdated");
      if (this.#surroundings.secrets.rotations === this.#rotations)
        throw new Breach(`the token of ${this.name} was as good as when it came`);
      return;
    }
    if (parseReason(reason)?.code === "expired") {
      this.#surroundings.meet("a token expired");
      if (this.#surroundings.now < Math.min(this.until, ...this.#offered))
        throw new Breach(`the token of ${this.name} had not expired`);
      return;
    }
    if (this.#surroundings.areLate && isTooLate(reason)) return;
    // The answer to a claim may come late; a connection is greeted without it after a while.
    if (isBusy(reason)) return;
    if (!this.#isGreeted || this.#isConcerned || !this.#surroundings.isUnconcerned(this, [])) return;
    throw new Breach(
      `${this.name} at ${this.home} was closed for a fault before its time: ${code} ${reason}`,
    );
  }

  #readLine(line: string): void {
    const step = this.#conversation.next;
    const reply = parseReply(line);
    if (step?.verb === "greeting" && reply.kind !== "connected" && reply.kind !== "busy") {
      throw new Breach(`${this.name} read '${line}' before its greeting`);
    }
    switch (reply.kind) {
      case "connected":
        this.#greeted(step);
        break;
      case "time":
        this.#answered();
        break;
      case "message":
        this.#hear(reply.channel, reply.message);
        break;
      case "error":
        if (reply.command === "token") this.#offered.shift();
        this.#conversation.refuse(reply);
        break;
      case "position":
        this.#locate(reply.channel, reply.position);
        break;
      case "gap":
        this.reading.miss(reply.channel, reply.from, reply.to);
        break;
      case "once":
        if (this.#surroundings.ledger.answeredOnce(reply.key, reply.position))
          this.#surroundings.meet("announced before");
        break;
      case "accepted":
        this.#surroundings.meet("a token renewed");
        this.#offered.shift();
        this.until = reply.until * 1000;
        break;
      case "unknown":
        throw new Breach(`${this.name} read '${line}'`);
    }
  }

  #greeted(step: Step | undefined): void {
    if (step?.verb !== "greeting") throw new Breach(`${this.name} was greeted twice`);
    step.done = this.#surroundings.now;
    this.#isGreeted = true;
    if (this.#surroundings.isLinkedToEveryone(this.home)) this.hearsEveryoneSince = step.done;
  }

  #answered(): void {
    const step = this.#conversation.answer();
    if (step.verb === "unsubscribe" && step.refusals === 0) this.reading.pause(step.channel, step.issued);
    this.#checkOwn(step);
  }

  /** What a client announces where it listens has arrived before the answer to its next ping. */
  #checkOwn({ verb, channel, refusals, issued, messages }: Step): void {
    if ((verb !== "announce" && verb !== "once") || refusals > 0 || this.#surroundings.mayLose) return;
    const since = this.subscribedSince(channel);
    if (since === undefined || since > issued) return;
    const heard = this.reading.heard.get(channel) ?? [];
    for (const message of messages) {
      if (!heard.includes(message))
        throw new Breach(`${this.name} was answered before it read its own ${message}`);
    }
  }

  #hear(channel: string, message: string): void {
    const reason = this.#conversation.reasonFor(channel);
    if (!reason) throw new Breach(`${this.name} read ${message} on ${channel} without a subscription`);
    this.reading.hear(channel, message, reason.issued);
  }

  #locate(channel: string, position: number): void {
    const answered = this.#conversation.located(channel);
    const { issued } = answered ?? { issued: this.#surroundings.now };
    const since = answered?.channel === channel ? answered.since : undefined;
    this.reading.locate(channel, position, issued, since);
  }
}
