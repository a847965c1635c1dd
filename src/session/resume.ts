/** Connections that go on in a channel where they were: they get what they have missed, and their position. */

import type { From } from "../protocol/positions.ts";
import { NO_HISTORY } from "../protocol/refusals.ts";
import { formatGap, formatPosition } from "../protocol/replies.ts";
import type { Kept, Missing } from "../runtime/calls.ts";
import { keepsHistory, type Limits } from "../runtime/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Counters } from "../stats/counters.ts";
import { selectMissed } from "../tree/catch-up.ts";
import type { Router } from "../tree/router.ts";
import { Unreachable } from "../tree/upstream.ts";
import type { Connection, Connections } from "./connections.ts";
import { CommandError } from "./inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { take } from "./rate.ts";

/** Characters of what it has missed that a connection may be sent in a second: the history of 16 channels. */
const MOST_MISSED = 4_000_000;

interface ResumingParts {
  runtime: Runtime;
  connections: Connections;
  router: Router;
  counters: Counters;
  lifecycle: Lifecycle;
  limits: Limits;
}

export class Resuming {
  readonly #runtime: Runtime;
  readonly #connections: Connections;
  readonly #router: Router;
  readonly #counters: Counters;
  readonly #lifecycle: Lifecycle;
  readonly #limits: Limits;

  constructor({ runtime, connections, router, counters, lifecycle, limits }: ResumingParts) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#router = router;
    this.#counters = counters;
    this.#lifecycle = lifecycle;
    this.#limits = limits;
  }

  /**
   * Subscribes a connection to a channel from somewhere in it on.
   * @throws CommandError if it cannot be; where no history is kept, it is subscribed all the same
   */
  async subscribe(connection: Connection, channel: string, from: From): Promise<void> {
    try {
      if (!keepsHistory(this.#limits, channel)) await this.#subscribeOnly(connection, channel);
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
      throw new CommandError(
        "invalid",
        "you are subscribed to this channel; unsubscribe first, or use 'since now'",
      );
    }
    // Who has been sent so much is not to have the root asked all the time either.
    if (!isNow && !this.#mayAsk(connection)) throw tooMuch();
    const hasHistory = await this.#recover(connection, channel, missing(from));
    if (!hasHistory) await this.#subscribeOnly(connection, channel);
  }

  /** Whether a connection may be sent as much now as a channel may have. */
  #mayAsk({ missed }: Connection): boolean {
    take(missed, 0, MOST_MISSED, this.#runtime.now());
    return missed.level >= this.#limits.historyBytes;
  }

  /** Says whether there is any history. */
  async #recover(connection: Connection, channel: string, wanted: Missing): Promise<boolean> {
    const outcome: { hasHistory: boolean; refusal: CommandError | undefined } = {
      hasHistory: true,
      refusal: undefined,
    };
    await this.#router.readMissed(channel, wanted, (kept) => {
      if ("none" in kept) outcome.hasHistory = false;
      else if (!connection.closed) outcome.refusal = this.#handOver(connection, channel, wanted, kept);
    });
    if (outcome.refusal) throw outcome.refusal;
    return outcome.hasHistory;
  }

  /** Sends what was missed, and subscribes where that ends; who is subscribed already is told where that is. */
  #handOver(connection: Connection, channel: string, wanted: Missing, kept: Exclude<Kept, { none: true }>) {
    const { gap, after, count, lines } = selectMissed(wanted, kept);
    const taken = take(connection.missed, lines.length, MOST_MISSED, this.#runtime.now());
    if (taken < lines.length) return tooMuch();
    if (wanted.since !== undefined)
      this.#counters.note(gap === undefined ? "resumes.complete" : "resumes.gap");
    if (gap !== undefined) this.#connections.tell(connection, formatGap(channel, gap, after));
    this.#connections.tell(connection, formatPosition(channel, after));
    this.#connections.tell(connection, lines);
    this.#counters.count("messages", count);
    this.#lifecycle.subscribe(connection, channel, true);
    return undefined;
  }
}

function tooMuch(): CommandError {
  return new CommandError(
    "rate",
    `a connection gets at most ${MOST_MISSED} characters of missed messages per second; try again`,
  );
}

function missing(from: From): Missing {
  if ("last" in from) return { since: undefined, last: from.last };
  return { since: from.since === "now" ? undefined : from.since, last: 0 };
}
