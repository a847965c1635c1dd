/** Executes the commands of clients. */
import { type Grants, mayAnnounce, mayEnter, mayEnterAs, mayOperate, maySubscribe } from "../auth/grants.ts";
import type { ClosingCause } from "../protocol/close-codes.ts";
import type { Refusal } from "../protocol/errors.ts";
import { canDeduplicate } from "../protocol/keys.ts";
import { presenceOf, subjectOf } from "../protocol/members.ts";
import type { From } from "../protocol/positions.ts";
import {
  KEY_CONFLICT,
  keyedTooLong,
  NO_HISTORY,
  NO_PRESENCE,
  NOT_OPERATOR,
  notGranted,
  notSubject,
  SERVER_ANNOUNCES,
  tooManyChannels,
} from "../protocol/refusals.ts";
import {
  ALIVE,
  formatError,
  formatMemberOf,
  formatMembers,
  formatMessage,
  formatOnce,
  formatTime,
} from "../protocol/replies.ts";
import type { Member } from "../runtime/calls.ts";
import { hasHistory } from "../runtime/limits.ts";
import { Unreachable } from "../tree/upstream.ts";
import { announceFault } from "./announce-fault.ts";
import type { Connection } from "./connection.ts";
import type { Drain, DrainParts } from "./drain.ts";
import { CommandError, type CommandHandler, type Step } from "./inbox.ts";
import { chargeMissed, Resume } from "./resume.ts";

type Once = Extract<Step, { kind: "once" }>;

export interface CommandParts extends DrainParts {
  readonly drain: Drain;
}

export class Commands implements CommandHandler {
  readonly #parts: CommandParts;
  readonly #resume: Resume;
  readonly #lists = new WeakMap<Member[], string>();

  constructor(parts: CommandParts) {
    this.#parts = parts;
    this.#resume = new Resume(parts);
  }

  /**
   * Resumes the channel of a connection's URL, or only subscribes to it if that fails.
   * @throws Unreachable if this object doesn't receive the channel, so the connection would stay open and get nothing
   */
  async resume(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      await this.#resume.subscribe(connection, channel, from);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (!this.#parts.router.isLive(channel)) throw new Unreachable("the channel can't be reached now");
      const { code, message: why } = error;
      if (!connection.closed) this.#parts.lifecycle.subscribe(connection, channel);
      this.refuse(connection, { code, command: "subscribe", argument: channel, why });
    }
  }

  #send(connection: Connection, line: string): void {
    this.#parts.connections.send(connection, line);
  }

  refuse(connection: Connection, refusal: Refusal): void {
    this.#parts.counters.note(`refused.${refusal.code}`, 1, { command: refusal.command });
    this.#send(connection, formatError(refusal));
  }

  portionSize(channel: string): number {
    return this.#parts.connections.portionSize(channel);
  }

  close(connection: Connection, cause: ClosingCause, why: string): void {
    this.#parts.lifecycle.close(connection, cause, why);
  }

  pause(connection: Connection, work: number, needsRoom: boolean): Promise<void> | undefined {
    const { tokens, drain, pace } = this.#parts;
    if (tokens.hasExpired(connection)) tokens.closeExpired();
    drain.flushIfLarge();
    return pace.after(work, needsRoom);
  }

  execute(connection: Connection, step: Step): Promise<unknown> | undefined {
    switch (step.kind) {
      case "announce":
        return this.#announce(connection, step.channel, step.lines, step.count);
      case "subscribe":
        return this.#subscribe(connection, step.channel, step.from);
      case "unsubscribe":
        this.#parts.lifecycle.unsubscribe(connection, step.channel);
        return undefined;
      case "once":
        return this.#announceOnce(connection, step);
      case "keepalive":
        this.#send(connection, ALIVE);
        return undefined;
      case "ping":
        this.#parts.counters.count("pings");
        this.#send(connection, formatTime(this.#parts.runtime.now()));
        return undefined;
      case "info":
        return this.#info(connection);
      case "enter":
        return this.#enter(connection, step.channel, step);
      case "leave":
        return this.#parts.presence.leave(connection, step.channel);
      case "members":
        return this.#members(connection, step.channel);
      case "token":
        return this.#parts.tokens.renew(connection, step.token);
    }
  }

  #announce({ grants }: Connection, channel: string, lines: string, count: number): Promise<unknown> | undefined {
    checkAnnounce(grants, channel);
    return this.#parts.router.announce(channel, lines, count)?.catch(failToAnnounce);
  }

  /** Announces keyed messages concurrently, so that they travel in one call. Replies are in the order of the commands. */
  async #announceOnce(connection: Connection, { channel, messages }: Once): Promise<void> {
    const outcomes = messages.map(({ key, message }) => this.#outcome(connection, key, channel, message));
    for (const outcome of await Promise.all(outcomes)) {
      if (typeof outcome === "string") this.#send(connection, outcome);
      else this.refuse(connection, outcome);
    }
    // A subscriber that knows the position of one message can count on from there.
    if (connection.channels.has(channel)) this.#parts.connections.markCounted(connection, channel);
  }

  /** Returns the reply to one keyed announcement, or its refusal. */
  async #outcome({ grants }: Connection, key: string, channel: string, message: string): Promise<string | Refusal> {
    try {
      checkAnnounce(grants, channel);
      if (!hasHistory(this.#parts.limits, channel)) throw new CommandError("no-history", NO_HISTORY);
      return formatOnce(key, await this.#positionOf(key, channel, formatMessage(channel, message)));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.code, command: "once", argument: key, why: error.message };
    }
  }

  async #positionOf(key: string, channel: string, line: string): Promise<number> {
    const most = this.#parts.limits.historyBytes;
    if (!canDeduplicate(key, line, most)) throw new CommandError("limit", keyedTooLong(most));
    const announced = this.#parts.router.announceOnce(channel, key, line);
    if (announced === undefined) throw new CommandError("conflict", KEY_CONFLICT);
    if (announced instanceof Promise) return announced.catch(failToAnnounce);
    await this.#parts.schedule.flushed;
    return announced.last;
  }

  #subscribe(connection: Connection, channel: string, from: From | undefined): Promise<void> | undefined {
    this.#checkSubscribe(connection, channel);
    if (from) return this.#subscribeFrom(connection, channel, from);
    // A subscribed channel may not be live: clients are subscribed to `all` even while its root is unreachable.
    if (!this.#parts.router.isLive(channel)) return this.#joinAndSubscribe(connection, channel);
    this.#parts.lifecycle.subscribe(connection, channel);
    return undefined;
  }

  async #subscribeFrom(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      await this.#resume.subscribe(connection, channel, from);
    } finally {
      if (!connection.channels.has(channel)) this.#parts.router.leaveIfUnneeded(channel);
    }
  }

  #checkSubscribe(connection: Connection, channel: string): void {
    const { grants, channels } = connection;
    const { connections, limits } = this.#parts;
    const most = limits.maxChannelsPerConnection;
    if (!maySubscribe(grants, channel)) throw new CommandError("forbidden", notGranted("subscribe", channel));
    if (channels.has(channel)) return;
    if (channels.size >= most) throw new CommandError("limit", tooManyChannels(most));
    if (connections.subscriptions.isFull) {
      throw new CommandError("unavailable", "this object has no memory for more subscriptions; connect again");
    }
    if (!connections.canSubscribe(connection, channel)) {
      throw new CommandError("limit", "the names of this connection's channels are too long together");
    }
  }

  async #joinAndSubscribe(connection: Connection, channel: string): Promise<void> {
    const { router, lifecycle } = this.#parts;
    try {
      while (!router.isLive(channel)) await router.upstream.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "subscribing failed";
      throw new CommandError("unavailable", `${why}; try again`);
    }
    if (connection.closed) router.leaveIfUnneeded(channel);
    else lifecycle.subscribe(connection, channel);
  }

  #enter(connection: Connection, channel: string, { member, data }: Member): Promise<void> | undefined {
    const { grants } = connection;
    if (!mayEnter(grants, channel)) throw new CommandError("forbidden", notGranted("enter", channel));
    if (!mayEnterAs(grants, member)) throw new CommandError("forbidden", notSubject(grants?.sub ?? ""));
    return this.#parts.presence.enter(connection, channel, { member, data });
  }

  /** Sends the members of a channel, which count as missed messages. */
  async #members(connection: Connection, channel: string): Promise<void> {
    if (!maySubscribe(connection.grants, presenceOf(channel))) {
      throw new CommandError("forbidden", notGranted("subscribe", channel));
    }
    this.#parts.presence.checkRate(connection);
    chargeMissed(connection, 0, this.#parts.runtime.now(), 1);
    const answer = await this.#parts.presence.members(channel).catch(() => {
      throw new CommandError("unavailable", "the members of this channel can't be reached now; try again");
    });
    if ("none" in answer) throw new CommandError("no-history", NO_PRESENCE);
    const { position, members } = answer;
    const lines = this.#linesOf(members, channel);
    chargeMissed(connection, lines.length, this.#parts.runtime.now());
    this.#send(connection, formatMembers(channel, position, members.length) + lines);
    // Many connections may get a list at once.
    this.#parts.drain.flushIfLarge();
  }

  /** Formats a list once for all connections that wait for it: their copies could exhaust the object's memory. */
  #linesOf(members: Member[], channel: string): string {
    const lines = this.#lists.get(members) ?? members.map((member) => formatMemberOf(channel, member)).join("");
    this.#lists.set(members, lines);
    return lines;
  }

  /** Requires the same permission as `GET /-/info`. */
  async #info(connection: Connection): Promise<void> {
    if (!mayOperate(connection.grants)) throw new CommandError("forbidden", NOT_OPERATOR);
    const lines = await this.#parts.reporter.info().catch(() => {
      throw new CommandError("unavailable", "the root of `all` doesn't answer; try again");
    });
    this.#send(connection, lines);
  }
}

function checkAnnounce(grants: Grants | undefined, channel: string): void {
  if (subjectOf(channel) !== undefined) throw new CommandError("forbidden", SERVER_ANNOUNCES);
  if (mayAnnounce(grants, channel)) return;
  throw new CommandError("forbidden", notGranted("announce", channel));
}

function failToAnnounce(error: unknown): never {
  const { code, why } = announceFault(error);
  throw new CommandError(code, why);
}
