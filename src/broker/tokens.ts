/** What connections may do by their tokens: until when, and a new token in place of an old one. */
import { type Grants, type GrantsFault, grantsFault, hasEnded, maySubscribe } from "../auth/grants.ts";
import { type Guard, NoKeys, TokenError } from "../auth/verify.ts";
import type { World } from "../links/world.ts";
import { formatAccepted } from "../protocol/replies.ts";
import { fits } from "../sockets/attachment.ts";
import type { Connection, Connections } from "../sockets/connections.ts";
import { CommandError } from "../sockets/inbox.ts";
import type { Alarm } from "./alarm.ts";

export class Tokens {
  readonly #world: World;
  readonly #connections: Connections;
  readonly #alarm: Alarm;
  readonly #guard: Guard | undefined;

  /** @param guard undefined on a server without tokens */
  constructor(world: World, connections: Connections, alarm: Alarm, guard: Guard | undefined) {
    this.#world = world;
    this.#connections = connections;
    this.#alarm = alarm;
    this.#guard = guard;
  }

  /** The connections whose grants don't fit the current settings: an earlier life of this object admitted them. */
  get outdated(): { connection: Connection; fault: GrantsFault }[] {
    return [...this.#connections].flatMap((connection) => {
      const fault = grantsFault(connection.grants, this.#guard?.keys);
      return fault ? [{ connection, fault }] : [];
    });
  }

  /** A connection has these grants now: the alarm is to go off when the first of all end. */
  watch({ until }: Grants): void {
    if (until < this.#alarm.expiry) this.#alarm.expireAt(until);
  }

  hasExpired({ grants }: Connection): boolean {
    return hasEnded(grants, this.#world.now());
  }

  /** The connections whose grants have ended. */
  get expired(): Connection[] {
    return [...this.#connections].filter((connection) => this.hasExpired(connection));
  }

  /**
   * Has a new token take the place of the one that a connection came with, and tells it so.
   * @throws CommandError if the token is not good, or not enough
   */
  async renew(connection: Connection, token: string): Promise<void> {
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const heard = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (heard !== undefined) {
      throw new CommandError("forbidden", `the token doesn't grant '${heard}', to which you are subscribed`);
    }
    if (!fits(connection.channels, grants)) {
      throw new CommandError(
        "limit",
        "the names of this connection's channels and grants are too long together",
      );
    }
    this.#connections.grant(connection, grants);
    this.watch(grants);
    this.#connections.tell(connection, formatAccepted(grants.until));
  }

  async #granted(token: string): Promise<Grants> {
    if (!this.#guard) throw new CommandError("invalid", "this server needs no tokens");
    try {
      return await this.#guard.verify(token);
    } catch (error) {
      if (error instanceof TokenError) throw new CommandError(error.code, error.message);
      if (error instanceof NoKeys) throw new CommandError("unavailable", `${error.message}; try again`);
      throw error;
    }
  }
}

/** When the first of all connections' grants end, in milliseconds since 1970; infinite if none do. */
export function firstExpiry(connections: Iterable<Connection>): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { grants } of connections) if (grants) first = Math.min(first, grants.until);
  return first;
}
