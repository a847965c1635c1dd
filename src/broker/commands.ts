/** What the commands of clients do. */
import { mayAnnounce, maySubscribe } from "../auth/grants.ts";
import type { Counters } from "../figures/counters.ts";
import { QueueFull } from "../links/forwarding.ts";
import { Unreachable } from "../links/upstream.ts";
import { CallFailed, type World, wasNotMade } from "../links/world.ts";
import { formatTime } from "../protocol/replies.ts";
import { fits } from "../sockets/attachment.ts";
import type { Connection, Connections } from "../sockets/connections.ts";
import { type Carrier, CommandError, type Step } from "../sockets/inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Reporter } from "./reporter.ts";
import type { Router } from "./router.ts";
import type { Tokens } from "./tokens.ts";

export interface CommandParts {
  world: World;
  connections: Connections;
  lifecycle: Lifecycle;
  router: Router;
  tokens: Tokens;
  reporter: Reporter;
  counters: Counters;
  maxChannelsPerConnection: number;
}

export class Commands implements Carrier {
  readonly #parts: CommandParts;

  constructor(parts: CommandParts) {
    this.#parts = parts;
  }

  tell(connection: Connection, line: string): void {
    this.#parts.connections.tell(connection, line);
  }

  close(connection: Connection, code: number, reason: string): void {
    this.#parts.lifecycle.close(connection, code, reason);
  }

  carryOut(connection: Connection, step: Step): Promise<void> | undefined {
    switch (step.kind) {
      case "announce":
        return this.#announce(connection, step.channel, step.lines, step.count);
      case "subscribe":
        return this.#subscribe(connection, step.channel);
      case "unsubscribe":
        this.#parts.lifecycle.unsubscribe(connection, step.channel);
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
    if (!mayAnnounce(grants, channel)) {
      throw new CommandError("cannot announce: your token does not allow this channel");
    }
    return this.#parts.router.announce(channel, lines, count)?.catch((error: unknown) => {
      if (error instanceof QueueFull) throw new CommandError(`cannot announce: ${error.message}; try again`);
      if (wasNotMade(error)) throw new CommandError("cannot announce: too much is under way; try again");
      const isOverloaded = error instanceof CallFailed && error.why === "overloaded";
      const why = isOverloaded ? "is overloaded" : "does not answer";
      throw new CommandError(`an announcement may be lost: its channel's object ${why}`);
    });
  }

  #subscribe(connection: Connection, channel: string): Promise<void> | undefined {
    const { grants, channels } = connection;
    if (!maySubscribe(grants, channel)) {
      throw new CommandError("cannot subscribe: your token does not allow this channel");
    }
    // Subscribed and not live is what `all` can be, while its object does not answer.
    if (!channels.has(channel)) {
      const most = this.#parts.maxChannelsPerConnection;
      if (channels.size >= most) {
        throw new CommandError(`cannot subscribe: a connection has at most ${most} channels`);
      }
      if (this.#parts.connections.isFull) {
        throw new CommandError(
          "cannot subscribe: too many subscriptions are held here; connect again, for others",
        );
      }
      if (!fits([...channels, channel], grants)) {
        throw new CommandError(
          "cannot subscribe: the names of this connection's channels are too long together",
        );
      }
    }
    if (!this.#parts.router.isLive(channel)) return this.#joinAndSubscribe(connection, channel);
    this.#parts.lifecycle.subscribe(connection, channel);
    return undefined;
  }

  async #joinAndSubscribe(connection: Connection, channel: string): Promise<void> {
    const { router, lifecycle } = this.#parts;
    try {
      while (!router.isLive(channel)) await router.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "it failed";
      throw new CommandError(`cannot subscribe: ${why}; try again`);
    }
    if (connection.closed) router.leaveIfUnheard(channel);
    else lifecycle.subscribe(connection, channel);
  }

  async #info(connection: Connection): Promise<void> {
    const lines = await this.#parts.reporter.info().catch(() => {
      throw new CommandError("info is not to be had now: the object that adds it up does not answer");
    });
    this.tell(connection, lines);
  }
}
