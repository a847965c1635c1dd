/** What the commands of clients do. */
import { type Grants, mayAnnounce, maySubscribe } from "../auth/grants.ts";
import type { Counters } from "../figures/counters.ts";
import type { Closed, Refused } from "../figures/tally.ts";
import { QueueFull } from "../links/forwarding.ts";
import { Unreachable } from "../links/upstream.ts";
import type { World } from "../links/world.ts";
import type { From } from "../protocol/positions.ts";
import { NOT_ALLOWED, noHistory } from "../protocol/refusals.ts";
import { ALIVE, formatError, formatMessage, formatOnce, formatTime } from "../protocol/replies.ts";
import { fits } from "../sockets/attachment.ts";
import type { Connection, Connections } from "../sockets/connections.ts";
import { type Carrier, CommandError, type Step } from "../sockets/inbox.ts";
import { announceFault } from "./faults.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { keepsHistory, type Limits } from "./limits.ts";
import type { Reporter } from "./reporter.ts";
import { Resuming } from "./resuming.ts";
import type { Router } from "./router.ts";
import type { Tokens } from "./tokens.ts";

type Once = Extract<Step, { kind: "once" }>;

export interface CommandParts {
  world: World;
  connections: Connections;
  lifecycle: Lifecycle;
  router: Router;
  tokens: Tokens;
  reporter: Reporter;
  counters: Counters;
  limits: Limits;
}

export class Commands implements Carrier {
  readonly #parts: CommandParts;
  readonly #resuming: Resuming;

  constructor(parts: CommandParts) {
    this.#parts = parts;
    this.#resuming = new Resuming(parts);
  }

  /** Subscribes to what an address asks for, from there on, or else as if it did not say from where. */
  async resume(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      await this.#resuming.subscribe(connection, channel, from);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (!connection.closed) this.#parts.lifecycle.subscribe(connection, channel);
      this.refuse(connection, error);
    }
  }

  tell(connection: Connection, line: string): void {
    this.#parts.connections.tell(connection, line);
  }

  refuse(connection: Connection, { message, cause }: CommandError): void {
    this.#parts.counters.note(`refused.${cause}`);
    this.tell(connection, formatError(message));
  }

  close(connection: Connection, code: number, reason: string, cause: Closed): void {
    this.#parts.lifecycle.close(connection, code, reason, cause);
  }

  carryOut(connection: Connection, step: Step): Promise<void> | undefined {
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
        this.tell(connection, ALIVE);
        return undefined;
      case "ping":
        this.#parts.counters.count("pings");
        this.tell(connection, formatTime(this.#parts.world.now()));
        return undefined;
      case "info":
        return this.#info(connection);
      case "token":
        return this.#parts.tokens.renew(connection, step.token);
    }
  }

  #announce(
    { grants }: Connection,
    channel: string,
    lines: string,
    count: number,
  ): Promise<void> | undefined {
    checkAnnounce(grants, channel);
    return this.#parts.router.announce(channel, lines, count)?.catch(failToAnnounce);
  }

  /** All at once, so that they go together; the answers come in the order of the commands. */
  async #announceOnce(connection: Connection, { channel, messages }: Once): Promise<void> {
    const outcomes = messages.map(({ key, message }) => this.#outcome(connection, key, channel, message));
    for (const outcome of await Promise.all(outcomes)) {
      if (typeof outcome === "string") this.tell(connection, outcome);
      else this.refuse(connection, outcome);
    }
  }

  /** What is to be said of one. */
  async #outcome(
    { grants }: Connection,
    key: string,
    channel: string,
    message: string,
  ): Promise<string | CommandError> {
    try {
      checkAnnounce(grants, channel);
      if (!keepsHistory(this.#parts.limits, channel)) throw new CommandError(noHistory(channel), "invalid");
      const announced = this.#parts.router.announceOnce(channel, key, formatMessage(channel, message));
      return formatOnce(
        key,
        typeof announced === "number" ? announced : await announced.catch(failToAnnounce),
      );
    } catch (error) {
      if (error instanceof CommandError) return error;
      throw error;
    }
  }

  #subscribe(connection: Connection, channel: string, from: From | undefined): Promise<void> | undefined {
    // Subscribed and not live is what `all` can be, while its object does not answer.
    this.#checkSubscribe(connection, channel);
    if (from) return this.#resuming.subscribe(connection, channel, from);
    if (!this.#parts.router.isLive(channel)) return this.#joinAndSubscribe(connection, channel);
    this.#parts.lifecycle.subscribe(connection, channel);
    return undefined;
  }

  #checkSubscribe({ grants, channels }: Connection, channel: string): void {
    const refuse = (why: string, cause: Refused) => {
      throw new CommandError(`cannot subscribe: ${why}`, cause);
    };
    if (!maySubscribe(grants, channel)) refuse(NOT_ALLOWED, "token");
    if (channels.has(channel)) return;
    const most = this.#parts.limits.maxChannelsPerConnection;
    if (channels.size >= most) refuse(`a connection has at most ${most} channels`, "limit");
    if (this.#parts.connections.isFull) {
      refuse("too many subscriptions are held here; connect again, for others", "budget");
    }
    if (!fits([...channels, channel], grants)) {
      refuse("the names of this connection's channels are too long together", "limit");
    }
  }

  async #joinAndSubscribe(connection: Connection, channel: string): Promise<void> {
    const { router, lifecycle } = this.#parts;
    try {
      while (!router.isLive(channel)) await router.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "it failed";
      throw new CommandError(`cannot subscribe: ${why}; try again`, "unreachable");
    }
    if (connection.closed) router.leaveIfUnheard(channel);
    else lifecycle.subscribe(connection, channel);
  }

  async #info(connection: Connection): Promise<void> {
    const lines = await this.#parts.reporter.info().catch(() => {
      throw new CommandError(
        "info is not to be had now: the object that adds it up does not answer",
        "unreachable",
      );
    });
    this.tell(connection, lines);
  }
}

function checkAnnounce(grants: Grants | undefined, channel: string): void {
  if (mayAnnounce(grants, channel)) return;
  throw new CommandError(`cannot announce: ${NOT_ALLOWED}`, "token");
}

function failToAnnounce(error: unknown): never {
  throw new CommandError(announceFault(error), error instanceof QueueFull ? "budget" : "unreachable");
}
