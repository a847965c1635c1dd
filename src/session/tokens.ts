/** Renews the tokens of connections, and closes connections whose tokens have expired. */
import {
  type Grants,
  type GrantsFault,
  grantsFault,
  hasExpired,
  mayEnter,
  mayEnterAs,
  maySubscribe,
} from "../auth/grants.ts";
import { NoKeys, TokenError } from "../auth/verify.ts";
import type { ClosingCause } from "../protocol/close-codes.ts";
import { formatAccepted } from "../protocol/replies.ts";
import type { Connection } from "./connection.ts";
import { CommandError } from "./inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { SessionParts } from "./parts.ts";
import { take } from "./rate.ts";

/** Most tokens verified per second and connection; verifying one costs as much as executing a hundred lines. */
const MAX_TOKENS = 10;

/** Why connections are closed whose grants don't match the current settings. */
const OUTDATED: Record<GrantsFault, [cause: ClosingCause, why: string]> = {
  outdated: ["outdated", "your token's key is no longer valid; connect again with a new token"],
  missing: ["unauthorized", "this server requires a token now; connect again with one"],
  needless: ["settings", "this server no longer requires tokens; connect again"],
};

export interface TokenParts extends SessionParts {
  readonly lifecycle: Lifecycle;
}

export class Tokens {
  readonly #parts: TokenParts;

  constructor(parts: TokenParts) {
    this.#parts = parts;
  }

  /** Sets the alarm to the first expiry of any connection's grants. */
  start(): void {
    let first = Number.POSITIVE_INFINITY;
    for (const { grants } of this.#parts.connections) if (grants) first = Math.min(first, grants.until);
    this.#parts.alarm.expireAt(first);
  }

  /** Closes connections whose grants don't match the current settings, because they were admitted under earlier ones. */
  closeOutdated(): void {
    const { connections, guard, lifecycle, schedule } = this.#parts;
    for (const connection of [...connections]) {
      const fault = grantsFault(connection.grants, guard?.keys);
      if (!fault) continue;
      lifecycle.close(connection, ...OUTDATED[fault]);
      schedule.stay();
    }
  }

  /** Sets the alarm to the expiry of these grants, if they expire first. */
  watch({ until }: Grants): void {
    if (until < this.#parts.alarm.expiry) this.#parts.alarm.expireAt(until);
  }

  hasExpired({ grants }: Connection): boolean {
    return hasExpired(grants, this.#parts.runtime.now());
  }

  /**
   * Closes the connections whose grants have expired. Discards their buffered lines, which may be newer than that. This
   * only reads the clock while no grants can have expired.
   */
  closeExpired(): void {
    const { runtime, connections, alarm, lifecycle, schedule } = this.#parts;
    if (runtime.now() < alarm.expiry) return;
    for (const connection of [...connections]) {
      if (!this.hasExpired(connection)) continue;
      connections.discardBuffered(connection);
      lifecycle.close(connection, "expired", "your token has expired; connect again with a new one");
      schedule.stay();
    }
    this.start();
  }

  /**
   * Replaces the token of a connection, and confirms that to the client.
   * @throws CommandError if the token is invalid, or doesn't grant the connection's channels
   */
  async renew(connection: Connection, token: string): Promise<void> {
    if (take(connection.tokenRate, 1, MAX_TOKENS, this.#parts.runtime.now()) === 0) {
      throw new CommandError("rate", `more than ${MAX_TOKENS} tokens per second`);
    }
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const denied = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (denied !== undefined) {
      throw new CommandError("forbidden", `the token doesn't grant '${denied}', to which you are subscribed`);
    }
    if (!this.#parts.connections.canGrant(connection, grants)) {
      throw new CommandError("limit", "the names of this connection's channels and grants are too long together");
    }
    this.#parts.connections.grant(connection, grants);
    const isDenied = (channel: string, member: string) => !mayEnter(grants, channel) || !mayEnterAs(grants, member);
    this.#parts.presence.endWhere(connection, isDenied);
    this.watch(grants);
    this.#parts.connections.send(connection, formatAccepted(grants.until));
  }

  async #granted(token: string): Promise<Grants> {
    const { guard } = this.#parts;
    if (!guard) throw new CommandError("invalid", "this server needs no tokens");
    try {
      return await guard.verify(token);
    } catch (error) {
      if (error instanceof TokenError) throw new CommandError(error.code, error.message);
      if (error instanceof NoKeys) throw new CommandError("unavailable", `${error.message}; try again`);
      throw error;
    }
  }
}
