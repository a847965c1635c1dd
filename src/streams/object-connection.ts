/**
 * A connection to an object for an HTTP client. The Worker holds the client's end of the socket, so the object can
 * hibernate while the response continues.
 */
import { type Fault, parseReason } from "../protocol/errors.ts";
import { SERVICE_FULL } from "../protocol/refusals.ts";
import { BUSY, GREETING } from "../protocol/replies.ts";
import { Backlog, type Budget, STALLED_AFTER } from "./backlog.ts";
import { type StreamEnvironment, type Timer, timer } from "./environment.ts";

/** The fault if a channel's object doesn't answer. */
export const UNANSWERED: Fault = {
  code: "unavailable",
  why: "the channel's object doesn't answer; try again later",
};

/** How a connection ended. */
export interface Ending {
  code: number;
  reason: string;
}

/** The client's end of a socket into an object. */
export interface ObjectSocket {
  /** Sends a frame; does nothing if the socket is closed. */
  send(text: string): void;
  close(): void;
}

export class ObjectConnection {
  /** How the connection ended; undefined while it is open. Lines received before can still be taken. */
  ending: Ending | undefined;
  /** Whether lines were dropped because the reader was too slow. */
  isTooSlow = false;
  /** When the object last sent something. */
  receivedAt: number;
  /** Number of frames received from the object. */
  frames = 0;
  readonly #environment: StreamEnvironment;
  readonly #backlog: Backlog;
  readonly #socket: ObjectSocket;
  readonly #timer: Timer;
  /** Wakes the reader that waits for lines; undefined while none waits. */
  #wakeReader: (() => void) | undefined;
  /** When the reader last received something, or stopped waiting. */
  #readAt: number;

  constructor(socket: ObjectSocket, environment: StreamEnvironment, budget: Budget) {
    this.#socket = socket;
    this.#environment = environment;
    this.#backlog = new Backlog(budget, environment.now());
    this.receivedAt = environment.now();
    this.#readAt = environment.now();
    // Ends the reader's wait, or drops a reader that took nothing for too long.
    this.#timer = timer(environment, () => (this.#wakeReader ? this.#notify() : this.#dropSlowReader()));
  }

  /** Why the object closed the connection; undefined if it gave no reason. */
  get fault(): Fault | undefined {
    return parseReason(this.ending?.reason ?? "");
  }

  /** Accepts a frame of the object. */
  received(text: string): void {
    if (this.ending) return;
    const now = this.#environment.now();
    this.receivedAt = now;
    this.frames += 1;
    this.#backlog.push(text, now);
    const isStalled = !this.#wakeReader && now - this.#readAt >= STALLED_AFTER;
    if (this.#backlog.isShed || isStalled) this.#dropSlowReader();
    else if (this.#backlog.hasLines) this.#notify();
  }

  /** Sends commands to the object. */
  send(commands: string): void {
    if (commands !== "" && !this.ending) this.#socket.send(commands);
  }

  /**
   * Waits for the greeting until a deadline, and closes the connection if none is received.
   * @returns the first lines, which begin with the greeting; or why the object refuses the connection
   */
  async greeting(deadline: number): Promise<string | Fault> {
    const lines = await this.take(deadline);
    if (lines.startsWith(GREETING)) return lines;
    this.drop();
    if (lines.startsWith(BUSY)) return { code: "unavailable", why: SERVICE_FULL };
    return this.fault ?? UNANSWERED;
  }

  /**
   * Waits for whole lines, and takes at most one piece; returns "" at the end of the connection and at the deadline.
   */
  async take(deadline: number): Promise<string> {
    if (this.mustWait(deadline)) await new Promise<void>((resolve) => this.wait(deadline, resolve));
    return this.takeNow();
  }

  /** Whether there is nothing to take yet: no whole lines, no end of the connection, and the deadline is to come. */
  mustWait(deadline: number): boolean {
    this.#dropIfShed();
    return !this.#backlog.hasLines && !this.ending && deadline > this.#environment.now();
  }

  /** Calls `act` once, when there are whole lines, at the end of the connection, and at the deadline. */
  wait(deadline: number, act: () => void): void {
    this.#wakeReader = act;
    this.#timer.set(deadline);
  }

  /** Takes at most one piece of whole lines; returns "" if none are pending. */
  takeNow(): string {
    this.#dropIfShed();
    const lines = this.#backlog.take(this.#environment.now());
    this.markRead();
    return lines;
  }

  /** Restarts the time within which the reader has to take more. */
  markRead(): void {
    this.#readAt = this.#environment.now();
    if (this.ending && this.#backlog.size === 0) this.#timer.clear();
    else this.#timer.set(this.#readAt + STALLED_AFTER);
  }

  /** Closes the connection. Whole lines that are pending can still be taken. */
  end(ending: Ending = { code: 1000, reason: "" }): void {
    if (this.ending) return;
    this.ending = ending;
    this.#socket.close();
    this.#backlog.finish();
    if (this.#backlog.size === 0) this.#timer.clear();
    this.#notify();
  }

  /** Closes the connection and drops pending lines, because the reader has gone. */
  drop(): void {
    this.#backlog.drop();
    this.end();
    this.#timer.clear();
  }

  #dropIfShed(): void {
    if (this.#backlog.isShed) this.#dropSlowReader();
  }

  #dropSlowReader(): void {
    this.isTooSlow = true;
    this.drop();
  }

  #notify(): void {
    const wake = this.#wakeReader;
    if (!wake) return;
    this.#wakeReader = undefined;
    this.#readAt = this.#environment.now();
    wake();
  }
}
