/** Subscribes connections from a position: sends that position, and then the missed messages. */

import type { From } from "../protocol/positions.ts";
import { NO_HISTORY } from "../protocol/refusals.ts";
import { formatGap, formatPosition } from "../protocol/replies.ts";
import type { MissedAnswer, MissedRequest } from "../runtime/calls.ts";
import { hasHistory, type Limits } from "../runtime/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import { selectMissed } from "../tree/catch-up.ts";
import type { Router } from "../tree/router.ts";
import { Unreachable } from "../tree/upstream.ts";
import type { Connection, Connections } from "./connections.ts";
import { CommandError } from "./inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { take } from "./rate.ts";

/** Most characters of missed messages per second and connection: the default history of 15 channels. */
const MAX_MISSED = 4_000_000;

interface ResumeParts {
  runtime: Runtime;
  connections: Connections;
  router: Router;
  counters: Counters;
  lifecycle: Lifecycle;
  limits: Limits;
}

export class Resume {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #router: Router;
  readonly #counters: Counters;
  readonly #lifecycle: Lifecycle;
  readonly #limits: Limits;

  constructor({ runtime, connections, router, counters, lifecycle, limits }: ResumeParts) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#router = router;
    this.#counters = counters;
    this.#lifecycle = lifecycle;
    this.#limits = limits;
  }

  /**
   * Subscribes a connection to a channel from a position or with the newest messages.
   * @throws CommandError on failure, and if the channel has no history; in that case, the connection is subscribed anyway
   */
  async subscribe(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      if (!hasHistory(this.#limits, channel)) await this.#subscribeOnly(connection, channel);
      else await this.#resume(connection, channel, from);
    } catch (error) {
      if (error instanceof CommandError) throw error;
      const why = error instanceof Unreachable ? error.message : "the channel's object doesn't answer";
      throw new CommandError("unavailable", `${why}; try again`);
    } finally {
      if (connection.closed) this.#router.leaveIfUnneeded(channel);
    }
  }

  async #subscribeOnly(connection: Connection, channel: string): Promise<void> {
    while (!this.#router.isLive(channel)) await this.#router.join(channel);
    if (!connection.closed) this.#lifecycle.subscribe(connection, channel);
    throw new CommandError("no-history", NO_HISTORY);
  }

  async #resume(connection: Connection, channel: string, from: From): Promise<void> {
    const isNow = "since" in from && from.since === "now";
    if (connection.channels.has(channel) && !isNow) {
      throw new CommandError("invalid", "you are subscribed to this channel; unsubscribe first, or use 'since now'");
    }
    // Connections above their rate must not load the root either.
    if (!isNow && !this.#mayResume(connection)) throw tooManyMissed();
    const isResumed = await this.#sendMissed(connection, channel, requestOf(from));
    if (!isResumed) await this.#subscribeOnly(connection, channel);
  }

  /** Whether a connection may receive a full channel history now. */
  #mayResume({ missedRate }: Connection): boolean {
    take(missedRate, 0, MAX_MISSED, this.#runtime.now());
    return missedRate.level >= this.#limits.historyBytes;
  }

  /** Sends missed messages and subscribes. Returns false if the channel has no history. */
  async #sendMissed(connection: Connection, channel: string, request: MissedRequest): Promise<boolean> {
    const outcome: { hasHistory: boolean; refusal: CommandError | undefined } = {
      hasHistory: true,
      refusal: undefined,
    };
    await this.#router.readMissed(channel, request, (history) => {
      if ("none" in history) outcome.hasHistory = false;
      else if (!connection.closed) outcome.refusal = this.#deliver(connection, channel, request, history);
    });
    if (outcome.refusal) throw outcome.refusal;
    return outcome.hasHistory;
  }

  /** Sends the position and the missed messages, and subscribes the connection if it isn't subscribed yet. */
  #deliver(
    connection: Connection,
    channel: string,
    request: MissedRequest,
    history: Exclude<MissedAnswer, { none: true }>,
  ) {
    const { gap, after, count, lines } = selectMissed(request, history);
    const taken = take(connection.missedRate, lines.length, MAX_MISSED, this.#runtime.now());
    if (taken < lines.length) return tooManyMissed();
    if (request.since !== undefined) this.#counters.note(gap === undefined ? "resumes.complete" : "resumes.gap");
    if (gap !== undefined) this.#connections.send(connection, formatGap(channel, gap, after));
    this.#connections.send(connection, formatPosition(channel, after));
    this.#connections.send(connection, lines);
    this.#counters.count("messages", count);
    this.#lifecycle.subscribe(connection, channel, true);
    return undefined;
  }
}

function tooManyMissed(): CommandError {
  return new CommandError(
    "rate",
    `a connection gets at most ${MAX_MISSED} characters of missed messages per second; try again`,
  );
}

function requestOf(from: From): MissedRequest {
  if ("last" in from) return { since: undefined, last: from.last };
  return { since: from.since === "now" ? undefined : from.since, last: 0 };
}
