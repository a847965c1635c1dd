/** Decides when buffered lines are sent. */
import type { RawRuntime } from "../runtime/runtime.ts";
import type { Activity } from "./activity.ts";

/** Turns of the event loop without an event after which no more events are expected to be queued. */
const QUIET_TURNS = 2;
/** The most turns for which buffered lines wait. */
const MAX_TURNS = 64;
/** Sockets that take some milliseconds to send to: after that many, clients' events are let in before the next flush. */
const MANY_SOCKETS = 250;

/** Sends what a flush sends. */
export interface Sender {
  /** How many sockets have buffered lines, at most. */
  readonly dueSockets: number;
  /** Sends buffered lines, and returns whether there was room for all of them. */
  send(): boolean;
  /** Resolves when clients have read enough for more output. */
  makeRoom(): Promise<void>;
  /** Lets the object receive events of other clients. */
  admitEvents(): Promise<void>;
}

export class Flush {
  readonly #runtime: Pick<RawRuntime, "turn" | "sleep" | "keep">;
  readonly #activity: Activity;
  #sender: Sender | undefined;
  #isDue = false;
  #done = Promise.resolve();
  /** Settles when other events could come in after a large flush. */
  #rest: Promise<void> | undefined;

  constructor(runtime: Pick<RawRuntime, "turn" | "sleep" | "keep">, activity: Activity) {
    this.#runtime = runtime;
    this.#activity = activity;
  }

  /** Begins to flush with `sender`. */
  start(sender: Sender): void {
    this.#sender = sender;
  }

  /** Resolves when all lines buffered so far have been sent. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Sends the buffered lines after the events that are already queued. */
  soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#done = this.#whenQuiet();
    this.#runtime.keep(this.#done);
  }

  /** Sends even if waiting fails, so that the next flush can begin. */
  async #whenQuiet(): Promise<void> {
    try {
      await this.#rest;
      await this.#untilQuiet();
    } finally {
      const areMany = this.#dueSockets >= MANY_SOCKETS;
      this.#isDue = false;
      while (this.#sender?.send() === false) await this.#sender.makeRoom();
      if (areMany) this.#rest = this.#sender?.admitEvents();
    }
  }

  /**
   * Turns the event loop until no new event comes in. A frame costs the same however many lines it has, so sending once
   * pays. A turn costs about as much as a send, so there are at most a quarter as many turns as sockets to send to. If
   * events still come in, the object is flooded: the runtime gets one chance to deliver all queued events, so that no
   * flood delays the flush for long.
   */
  async #untilQuiet(): Promise<void> {
    let quiet = 0;
    for (let turn = 0, seen = this.#activity.count; quiet < QUIET_TURNS && turn < this.#maxTurns; turn++) {
      await this.#runtime.turn();
      quiet = seen === this.#activity.count ? quiet + 1 : 0;
      seen = this.#activity.count;
    }
    if (quiet < QUIET_TURNS) await this.#runtime.sleep(0);
  }

  get #dueSockets(): number {
    return this.#sender?.dueSockets ?? 0;
  }

  get #maxTurns(): number {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, this.#dueSockets >> 2));
  }
}
