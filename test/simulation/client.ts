/** A client of the simulated service, which checks what it reads against the promises at once. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import { type Command, formatCommand } from "../../src/protocol/commands.ts";
import { formatReason, formatRefusal, parseReason, type Refusal } from "../../src/protocol/errors.ts";
import type { From } from "../../src/protocol/positions.ts";
import { SERVICE_FULL } from "../../src/protocol/refusals.ts";
import { parseReply } from "../../src/protocol/replies.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import type { Secrets } from "./secrets.ts";

/** What a client needs of the service that it is connected to. */
export interface Surroundings {
  /** What has happened so far, counted; serves as the clock. */
  readonly now: number;
  /** A frame from a client arrives at its object. */
  arrive(client: SimulatedClient, frame: string): void;
  /** Whether the root of `all` and the object `home` both know of a link between them. */
  isLinkedToEveryone(home: string): boolean;
  /** Whether no fault has anything to do with a client, and with these channels that it was let in to. */
  isUnconcerned(client: SimulatedClient, channels: string[]): boolean;
  /** A client has read a message that has a position, as it counts. */
  found(channel: string, position: number, message: string): void;
  /** A client has been told the position of what was announced under a key. */
  answeredOnce(key: string, position: number): void;
  /** What tokens are made with. */
  readonly secrets: Secrets;
  /** Whether there may be gaps. */
  readonly mayForget: boolean;
  /** Counts something rare. */
  meet(rarity: Rarity): void;
  /** Whether clients take what is sent to them some time, not at once. */
  readonly areLate: boolean;
}

/** What only a long simulation meets, and is there for. */
export const RARITIES = [
  "a link cut off",
  "newer",
  "instead",
  "not linked any more",
  "gone while unsure",
  "a loss relayed",
  "a claim refused",
  "a mixed flush",
  "a token renewed",
  "a token expired",
  "a token outdated",
  "an upgrade refused",
  "a call made anew",
  "a deep call",
  "a row not taken",
  "nothing let in",
  "a position told again",
  "announced before",
] as const;

export type Rarity = (typeof RARITIES)[number];

/** A breach of a promise. */
export class Breach extends Error {}

/** What a client knows of a channel in which it counts, over all its connections. */
export interface Counting {
  /** Of the newest message that it has. */
  position: number;
  /** When it began to count. */
  since: number;
  messages: Set<string>;
}

/** One command of a client, with the ping that tells when it has taken effect. */
interface Step {
  verb: "greeting" | Command["kind"];
  channel: string;
  /** Messages announced. */
  messages: string[];
  issued: number;
  done: number | undefined;
  /** Errors that name one of its commands. */
  refusals: number;
  /** The position from which on a subscription is to begin. */
  since: number | undefined;
}

export interface Announcement {
  channel: string;
  issued: number;
  /** Certainly in the order: the announcer's next ping was answered, and no error came. */
  placed: () => boolean;
}

/** Something on its way to a client. */
interface Unread {
  bytes: number;
  take: () => void;
}

/** The server's end of a client's connection. */
export class SimulatedSocket implements Socket {
  readonly client: SimulatedClient;
  /** What its client has not taken yet, if it does so late. */
  readonly unread: Unread[] = [];
  readonly #isLate: boolean;
  #attachment: unknown;
  open = true;
  /** What its client found wrong, if anything. */
  breach: unknown;
  /** Has what is sent leave when its object lets it. */
  leave = (act: () => void) => act();

  /** @param isLate whether the client takes what is sent some time, not at once */
  constructor(client: SimulatedClient, isLate: boolean) {
    this.client = client;
    this.#isLate = isLate;
  }

  get bufferedAmount(): number {
    return this.unread.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  send(text: string): void {
    if (!this.open) throw new Error("sent on a closed socket");
    // What it rests on may be another link when it is read.
    if (!this.client.restsOnNew) this.client.isConcerned = true;
    this.#reach(text.length, () => this.client.read(text));
  }

  close(code: number, reason: string): void {
    if (this.open) this.#reach(0, () => this.client.sentAway(code, reason));
    this.open = false;
  }

  #reach(bytes: number, act: () => void): void {
    const take = () => this.#check(act);
    this.leave(() => {
      if (this.#isLate) this.unread.push({ bytes, take });
      else take();
    });
  }

  /** The objects take what a socket throws for a connection that has gone. */
  #check(act: () => void): void {
    try {
      act();
    } catch (breach) {
      this.breach ??= breach;
    }
  }

  serializeAttachment(attachment: unknown): void {
    this.#attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

/** Whether a connection was closed because its client read too slowly. */
export function isTooLate(reason: string): boolean {
  return /^unavailable: the client (reads too slowly|didn't read the greeting)/.test(reason);
}

/** Whether a connection was closed because the service was full. */
export function isBusy(reason: string): boolean {
  return reason === formatReason({ code: "unavailable", why: SERVICE_FULL });
}

function positionIn(from: From | undefined): number | undefined {
  return from && "since" in from && from.since !== "now" ? from.since : undefined;
}

export class SimulatedClient {
  readonly name: string;
  /** The channel that it connected at. */
  readonly channel: string;
  readonly socket: SimulatedSocket;
  /** When it connected. */
  readonly connected: number;
  /** The object that it is connected to. */
  home = "";
  /** Messages read, by channel. */
  readonly heard = new Map<string, string[]>();
  readonly announced = new Map<string, Announcement>();
  /** Set once the connection has ended. */
  ending: { code: number; reason: string } | undefined;
  /** When this client could first be sure to hear `all`. */
  hearsEveryoneSince: number | undefined;
  /** The channels in which it counts, and those in which it has stopped. */
  readonly counting = new Map<string, Counting>();
  readonly paused = new Map<string, Counting>();
  /** When its token ends. */
  until = Number.POSITIVE_INFINITY;
  readonly #surroundings: Surroundings;
  readonly #steps: Step[] = [];
  /** Whether something that it was told rests on what was not made sure of after the last fault. */
  isConcerned = false;
  #isGreeted = false;
  #messages = 0;
  /** How often the secret of tokens had been rotated when this client came. */
  readonly #rotations: number;

  /** @param since the position from which on it wants to hear the channel */
  constructor(surroundings: Surroundings, name: string, channel: string, since?: number) {
    this.#surroundings = surroundings;
    this.name = name;
    this.channel = channel;
    this.connected = surroundings.now;
    this.#rotations = surroundings.secrets.rotations;
    this.socket = new SimulatedSocket(this, surroundings.areLate);
    this.#begin("greeting", channel).since = since;
  }

  get open(): boolean {
    return this.ending === undefined;
  }

  /** Whether all channels that it may be let in to now rest on what was made sure of after the last fault. */
  get restsOnNew(): boolean {
    const subscribed = this.#steps.filter(({ verb }) => verb === "subscribe").map(({ channel }) => channel);
    return this.#surroundings.isUnconcerned(this, [this.channel, EVERYONE, ...subscribed]);
  }

  /** Whether the answer to something that it said has not come. */
  get waits(): boolean {
    return this.#steps.some(({ done }) => done === undefined);
  }

  /** Announces several messages in a row. */
  announce(channel: string, count = 1): void {
    const messages = Array.from({ length: count }, () => this.#nextMessage());
    const step = this.#begin("announce", channel, messages);
    const placed = () => step.done !== undefined && step.refusals === 0;
    for (const message of messages) this.announced.set(message, { channel, issued: step.issued, placed });
    this.#send(messages.map((message) => ({ kind: "announce", channel, message })));
  }

  subscribe(channel: string, from?: From): void {
    this.#begin("subscribe", channel).since = positionIn(from);
    this.#send([{ kind: "subscribe", channel, ...(from && { from }) }]);
  }

  /** Whether this client has never had to do with a channel. */
  isNewTo(channel: string): boolean {
    return !this.#steps.some((step) => this.#isAbout(step, channel));
  }

  /** Announces new messages, each under a key of its own. */
  announceOnce(channel: string, count: number): void {
    const messages = Array.from({ length: count }, () => `${this.#nextMessage().replace(".", "-once")}.1`);
    const step = this.#begin("once", channel, messages);
    const placed = () => step.done !== undefined && step.refusals === 0;
    for (const message of messages) this.announced.set(message, { channel, issued: step.issued, placed });
    this.#send(messages.map((message) => ({ kind: "once", key: `${channel}:${message}`, channel, message })));
  }

  /** Announces somebody's message again, under the key that it had. */
  announceAgain(channel: string, message: string): void {
    this.#begin("once", channel);
    this.#send([{ kind: "once", key: `${channel}:${message}`, channel, message }]);
  }

  /** Comes back after an earlier connection, to go on counting. */
  comeBack(earlier: SimulatedClient): void {
    for (const [channel, counting] of [...earlier.paused, ...earlier.counting]) {
      this.paused.set(channel, { ...counting, messages: new Set(counting.messages) });
    }
  }

  /** Asks for what it has missed of the channels that it has heard before, but for its own one. */
  catchUp(): void {
    for (const [channel, { position }] of this.paused) {
      if (channel === this.channel) continue;
      if (channel === EVERYONE) this.unsubscribe(channel);
      this.subscribe(channel, { since: position });
    }
  }

  unsubscribe(channel: string): void {
    this.#begin("unsubscribe", channel);
    this.#send([{ kind: "unsubscribe", channel }]);
  }

  info(): void {
    this.#begin("info");
    this.#send([{ kind: "info" }]);
  }

  /** Hands in another token. */
  renew(token: string): void {
    this.#begin("token");
    this.#send([{ kind: "token", token }]);
  }

  /** Takes a frame from the server. */
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
      if (this.#surroundings.now < this.until) throw new Breach(`the token of ${this.name} had not expired`);
      return;
    }
    if (this.#surroundings.areLate && isTooLate(reason)) return;
    // The answer to a claim may come late; a connection is greeted without it after a while.
    if (isBusy(reason)) return;
    if (!this.#isGreeted || this.isConcerned || !this.#surroundings.isUnconcerned(this, [])) return;
    throw new Breach(
      `${this.name} at ${this.home} was closed for a fault before its time: ${code} ${reason}`,
    );
  }

  /** When this client's subscription to `channel` that still stands took effect; undefined if there is none. */
  subscribedSince(channel: string): number | undefined {
    if (!this.open) return undefined;
    const last = this.#steps.findLast((step) => this.#isAbout(step, channel) && step.refusals === 0);
    if (last?.done === undefined || last.verb === "unsubscribe") return undefined;
    if (channel === EVERYONE && last.verb === "greeting" && this.channel !== EVERYONE) {
      return this.hearsEveryoneSince;
    }
    return last.done;
  }

  #begin(verb: Step["verb"], channel = "", messages: string[] = []): Step {
    const { now: issued } = this.#surroundings;
    const step: Step = {
      verb,
      channel,
      messages,
      issued,
      done: undefined,
      refusals: 0,
      since: undefined,
    };
    this.#steps.push(step);
    return step;
  }

  /** In one frame, with a ping behind it. */
  #send(commands: Command[]): void {
    const lines = [...commands, { kind: "ping" } as const].map(formatCommand);
    this.#surroundings.arrive(this, lines.join("\n"));
  }

  #isAbout({ verb, channel }: Step, about: string): boolean {
    if (verb === "greeting") return about === channel || about === EVERYONE;
    return (verb === "subscribe" || verb === "unsubscribe") && channel === about;
  }

  #nextMessage(): string {
    this.#messages += 1;
    return `${this.name}.${this.#messages}`;
  }

  #readLine(line: string): void {
    const step = this.#steps.find(({ done }) => done === undefined);
    const reply = parseReply(line);
    if (step?.verb === "greeting" && reply.kind !== "connected" && reply.kind !== "busy") {
      throw new Breach(`${this.name} read '${line}' before its greeting`);
    }
    switch (reply.kind) {
      case "connected":
        this.#greeted(step);
        break;
      case "time":
        this.#answered(step);
        break;
      case "message":
        this.#hear(reply.channel, reply.message);
        break;
      case "error":
        this.#refused(reply, step);
        break;
      case "position":
        this.#located(reply.channel, reply.position, step);
        break;
      case "gap":
        this.#missed(reply.channel, reply.from, reply.to);
        break;
      case "once":
        this.#surroundings.answeredOnce(reply.key, reply.position);
        break;
      case "accepted":
        this.#surroundings.meet("a token renewed");
        this.until = reply.until * 1000;
        break;
      case "busy":
      case "figure":
      case "alive":
        break;
      case "unknown":
        throw new Breach(`${this.name} read '${line}'`);
    }
  }

  /** An error names one of the pending step's commands, or what the address asked for. */
  #refused(refusal: Refusal, step: Step | undefined): void {
    const { command, argument } = refusal;
    const isOwn = step?.verb === command && argument === argumentOf(step, argument);
    if (isOwn) step.refusals += 1;
    else if (command !== "subscribe" || argument !== this.channel) {
      throw new Breach(`${this.name} got an error for what it didn't ask: ${formatRefusal(refusal)}`);
    }
  }

  #greeted(step: Step | undefined): void {
    if (step?.verb !== "greeting") throw new Breach(`${this.name} was greeted twice`);
    step.done = this.#surroundings.now;
    this.#isGreeted = true;
    if (this.#surroundings.isLinkedToEveryone(this.home)) this.hearsEveryoneSince = step.done;
  }

  #answered(step: Step | undefined): void {
    if (!step) throw new Breach(`${this.name} got an answer to a ping it did not send`);
    step.done = this.#surroundings.now;
    if (step.verb === "announce" && step.refusals % step.messages.length !== 0) {
      throw new Breach(`${this.name} got ${step.refusals} errors for ${step.messages.length} announcements`);
    }
    const counted = this.counting.get(step.channel);
    if (step.verb === "unsubscribe" && counted) {
      this.paused.set(step.channel, counted);
      this.counting.delete(step.channel);
    }
    this.#checkOwn(step);
  }

  /** What a client announces where it listens has arrived before the answer to its next ping. */
  #checkOwn(step: Step): void {
    const since = this.subscribedSince(step.channel);
    if (
      !["announce", "once"].includes(step.verb) ||
      step.refusals > 0 ||
      since === undefined ||
      since > step.issued
    )
      return;
    const heard = this.heard.get(step.channel) ?? [];
    for (const message of step.messages) {
      if (!heard.includes(message))
        throw new Breach(`${this.name} was answered before it read its own ${message}`);
    }
  }

  #hear(channel: string, message: string): void {
    const heard = this.heard.get(channel) ?? [];
    this.heard.set(channel, heard);
    if (heard.includes(message)) throw new Breach(`${this.name} read ${message} twice`);
    const [author = ""] = message.split(".");
    const before = heard.findLast((other) => other.startsWith(`${author}.`));
    if (before && Number(before.split(".")[1]) > Number(message.split(".")[1])) {
      throw new Breach(`${this.name} read ${message} after ${before}`);
    }
    const last = this.#steps.findLast(
      (step) => this.#isAbout(step, channel) && (step.refusals === 0 || !step.done),
    );
    if (!last || (last.verb === "unsubscribe" && last.done !== undefined)) {
      throw new Breach(`${this.name} read ${message} on ${channel} without a subscription`);
    }
    heard.push(message);
    this.#count(channel, message);
  }

  /** A position holds where it comes: it is what has been counted, or where counting begins. */
  #located(channel: string, position: number, step: Step | undefined): void {
    const since = step?.channel === channel ? step.since : undefined;
    const counted =
      this.counting.get(channel) ?? (since === undefined ? undefined : this.paused.get(channel));
    this.paused.delete(channel);
    const began = { position, since: this.#surroundings.now, messages: new Set<string>() };
    this.counting.set(channel, counted ?? began);
    if (!counted) return;
    if (counted.position !== position) {
      throw new Breach(`${this.name} is at ${counted.position} of ${channel}, and is told ${position}`);
    }
    this.#surroundings.meet("a position told again");
  }

  #missed(channel: string, from: number, to: number): void {
    this.counting.delete(channel);
    this.paused.delete(channel);
    if (this.#surroundings.mayForget) return;
    throw new Breach(`${this.name} is told of a gap of ${channel}, from ${from} to ${to}`);
  }

  #count(channel: string, message: string): void {
    const counted = this.counting.get(channel);
    if (!counted) return;
    counted.position += 1;
    if (counted.messages.has(message)) throw new Breach(`${this.name} counted ${message} twice`);
    counted.messages.add(message);
    this.#surroundings.found(channel, counted.position, message);
  }
}

/** The argument that errors for a step's commands name: its channel, or one of its keys. */
function argumentOf({ verb, channel }: Step, named: string | undefined): string | undefined {
  if (verb === "info" || verb === "token") return undefined;
  return verb === "once" && named?.startsWith(`${channel}:`) ? named : channel;
}
