/** What connections may do by their tokens: until when, and a new token in place of an old one. */
import { type Grants, type GrantsFault, grantsFault, hasExpired, maySubscribe } from "../auth/grants.ts";
import { type Guard, NoKeys, TokenError } from "../auth/verify.ts";
import { formatAccepted } from "../protocol/replies.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Connection, Connections } from "./connections.ts";
import { CommandError } from "./inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { take } from "./rate.ts";

/** Tokens of one connection that are checked per second; a check costs as much as a hundred other lines. */
const MOST_TOKENS = 10;

/** The alarm of this object, as far as tokens set it. */
interface ExpiryAlarm {
  /** When the first grants expire, in milliseconds since 1970; infinite if none do. */
  readonly expiry: number;
  expireAt(time: number): void;
}

export class Tokens {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #alarm: ExpiryAlarm;
  readonly #guard: Guard | undefined;
  readonly #lifecycle: Lifecycle;

  /** @param guard undefined on a server without tokens */
  constructor(
    runtime: Runtime,
    connections: Connections,
    alarm: ExpiryAlarm,
    guard: Guard | undefined,
    lifecycle: Lifecycle,
  ) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#alarm = alarm;
    this.#guard = guard;
    this.#lifecycle = lifecycle;
  }

  /** Sets the alarm for when the first token expires. */
  start(): void {
    this.#alarm.expireAt(firstExpiry(this.#connections));
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

  hasEnded({ grants }: Connection): boolean {
    return hasExpired(grants, this.#runtime.now());
  }

  /**
   * Closes the connections whose grants have ended. As long as none can have, that only takes a look at the clock.
   * @returns whether there were any
   */
  closeExpired(): boolean {
    if (this.#runtime.now() < this.#alarm.expiry) return false;
    const ended = [...this.#connections].filter((connection) => this.hasEnded(connection));
    for (const connection of ended) this.#lifecycle.closeEnded(connection);
    this.start();
    return ended.length > 0;
  }

  /**
   * Has a new token take the place of the one that a connection came with, and tells it so.
   * @throws CommandError if the token is not good, or not enough
   */
  async renew(connection: Connection, token: string): Promise<void> {
    if (take(connection.tokens, 1, MOST_TOKENS, this.#runtime.now()) === 0) {
      throw new CommandError("rate", `more than ${MOST_TOKENS} tokens per second`);
    }
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const heard = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (heard !== undefined) {
      throw new CommandError("forbidden", `the token doesn't grant '${heard}', to which you are subscribed`);
    }
    if (!this.#connections.canGrant(connection, grants)) {
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
function firstExpiry(connections: Iterable<Connection>): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { grants } of connections) if (grants) first = Math.min(first, grants.until);
  return first;
}
