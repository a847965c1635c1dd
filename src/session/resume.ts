/** Subscribes connections from a position: sends that position, and then the missed messages. */

import type { From } from "../protocol/positions.ts";
import { NO_HISTORY } from "../protocol/refusals.ts";
import { formatGap, formatPosition } from "../protocol/replies.ts";
import type { MissedRequest } from "../runtime/calls.ts";
import { hasHistory } from "../runtime/limits.ts";
import { type RetainedMessages, selectMissed } from "../tree/catch-up.ts";
import { Unreachable } from "../tree/upstream.ts";
import type { Connection } from "./connection.ts";
import { CommandError } from "./inbox.ts";
import { take } from "./rate.ts";
import type { TokenParts } from "./tokens.ts";

/** Most characters of missed messages per second and connection: the default history of 15 channels. */
const MAX_MISSED = 4_000_000;

export class Resume {
  readonly #parts: TokenParts;

  constructor(parts: TokenParts) {
    this.#parts = parts;
  }

  /**
   * Subscribes a connection to a channel from a position or with the newest messages.
   * @throws CommandError on failure, and if the channel has no history; in that case, the connection is subscribed anyway
   */
  async subscribe(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      if (!hasHistory(this.#parts.limits, channel)) await this.#subscribeOnly(connection, channel);
      else await this.#resume(connection, channel, from);
    } catch (error) {
      if (error instanceof CommandError) throw error;
      const why = error instanceof Unreachable ? error.message : "the channel's object doesn't answer";
      throw new CommandError("unavailable", `${why}; try again`);
    } finally {
      if (connection.closed) this.#parts.router.leaveIfUnneeded(channel);
    }
  }

  async #subscribeOnly(connection: Connection, channel: string): Promise<void> {
    const { router, lifecycle } = this.#parts;
    while (!router.isLive(channel)) await router.upstream.join(channel);
    if (!connection.closed) lifecycle.subscribe(connection, channel);
    throw new CommandError("no-history", NO_HISTORY);
  }

  async #resume(connection: Connection, channel: string, from: From): Promise<void> {
    const isNow = "since" in from && from.since === "now";
    if (connection.channels.has(channel) && !isNow) {
      throw new CommandError("invalid", "you are subscribed to this channel; unsubscribe first, or use 'since now'");
    }
    const { runtime, limits, router } = this.#parts;
    // Connections that couldn't receive a full history now must not load the root either.
    if (!isNow) chargeMissed(connection, 0, runtime.now(), limits.historyBytes);
    let hasNone = false;
    const request = requestOf(from);
    await router.readMissed(channel, request, (history) => {
      hasNone = "none" in history;
      if (!("none" in history) && !connection.closed) this.#deliver(connection, channel, request, history);
    });
    if (hasNone) await this.#subscribeOnly(connection, channel);
  }

  /** Sends the position and the missed messages, and subscribes the connection if it isn't subscribed yet. */
  #deliver(connection: Connection, channel: string, request: MissedRequest, history: RetainedMessages): void {
    const { runtime, connections, counters, lifecycle } = this.#parts;
    const { gap, after, count, lines } = selectMissed(request, history);
    chargeMissed(connection, lines.length, runtime.now());
    if (request.since !== undefined) counters.note(gap === undefined ? "resumes.complete" : "resumes.gap");
    if (gap !== undefined) connections.send(connection, formatGap(channel, gap, after));
    connections.send(connection, formatPosition(channel, after));
    connections.send(connection, lines);
    counters.count("messages", count);
    lifecycle.subscribe(connection, channel, true);
  }
}

/**
 * Charges a connection for missed messages or a list of members.
 * @param characters that it gets now
 * @param left what must be left of its allowance afterwards
 * @throws CommandError if it has had too many in this second
 */
export function chargeMissed(connection: Connection, characters: number, now: number, left = 0): void {
  const taken = take(connection.missedRate, characters, MAX_MISSED, now);
  if (taken === characters && connection.missedRate.level >= left) return;
  throw new CommandError(
    "rate",
    `a connection gets at most ${MAX_MISSED} characters of missed messages and members per second; try again`,
  );
}

function requestOf(from: From): MissedRequest {
  if ("last" in from) return { since: undefined, last: from.last };
  return { since: from.since === "now" ? undefined : from.since, last: 0 };
}
