/** When gathered lines go out. */
import type { Runtime } from "../runtime/runtime.ts";
import type { Connections } from "../session/connections.ts";
import type { Drain } from "../session/drain.ts";
import type { Pace } from "../session/pace.ts";
import type { Activity } from "./activity.ts";

/** Turns without an event after which none is taken to be waiting. */
const QUIET_TURNS = 2;
/** Most turns of the event loop for which gathered lines wait. */
const MAX_TURNS = 64;
/** Sockets that take so long to send to, some milliseconds, that others are let in before more is sent. */
const MANY = 250;

export class Flush {
  readonly #runtime: Runtime;
  readonly #activity: Activity;
  readonly #connections: Connections;
  readonly #send: () => boolean;
  readonly #drain: Drain;
  readonly #pace: Pace;
  #flushing = false;
  #done = Promise.resolve();
  /** Settles when others could come in since many sockets were sent to. */
  #rest: Promise<void> | undefined;

  /** @param send sends what has been gathered, and says whether there was room for all */
  constructor(
    runtime: Runtime,
    activity: Activity,
    connections: Connections,
    drain: Drain,
    pace: Pace,
    send: () => boolean,
  ) {
    this.#runtime = runtime;
    this.#pace = pace;
    this.#activity = activity;
    this.#connections = connections;
    this.#send = send;
    this.#drain = drain;
  }

  /** Resolves when all that has been gathered so far is sent. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Sends what has been gathered, when what is already waiting to come in has been taken in too. */
  soon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#done = this.#whenQuiet();
    this.#runtime.keep(this.#done);
  }

  /** Whatever happens to the turns, what has been gathered goes out, and the next flush can begin. */
  async #whenQuiet(): Promise<void> {
    try {
      await this.#rest;
      await this.#takeIn();
    } finally {
      const areMany = this.#connections.due >= MANY;
      this.#flushing = false;
      while (!this.#send()) await this.#drain.makeRoom();
      if (areMany) this.#rest = this.#pace.letIn();
    }
  }

  /**
   * Turns the event loop until nothing new comes in. What is sent costs the same however much it is, so
   * it pays to send once; and as each turn ends at once, nothing waits for what is not there yet.
   * A turn costs about as much as a send, so there are at most a quarter as many as sockets to send to.
   * If even then more comes in, this object is flooded, and lets the runtime take in all there is, once:
   * so no flood can put off for long what is due to others.
   */
  async #takeIn(): Promise<void> {
    let quiet = 0;
    for (let turn = 0, seen = this.#activity.count; quiet < QUIET_TURNS && turn < this.#mostTurns; turn++) {
      await this.#runtime.turn();
      quiet = seen === this.#activity.count ? quiet + 1 : 0;
      seen = this.#activity.count;
    }
    if (quiet < QUIET_TURNS) await this.#runtime.sleep(0);
  }

  get #mostTurns(): number {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, this.#connections.due >> 2));
  }
}
