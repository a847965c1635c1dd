/**
 * A connection to an object for an HTTP client. The Worker holds the client's end of the socket, so the object can
 * hibernate while the response continues.
 */
import { Backlog, type Budget, STALLED_AFTER } from "./backlog.ts";
import { type StreamEnvironment, Timer } from "./environment.ts";

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

/** Callbacks of a socket; none is called before `OpenSocket` has returned. */
export interface SocketEvents {
  received(text: string): void;
  ended(ending: Ending): void;
}

/** Opens a socket that an object has accepted. */
export type OpenSocket = (events: SocketEvents) => ObjectSocket;

export class ObjectConnection {
  readonly #environment: StreamEnvironment;
  readonly #backlog: Backlog;
  readonly #socket: ObjectSocket;
  readonly #timer: Timer;
  #ending: Ending | undefined;
  #isTooSlow = false;
  /** Wakes the reader that waits for lines; undefined while none waits. */
  #wakeReader: (() => void) | undefined;
  #receivedAt: number;
  #frames = 0;
  /** When the reader last received something, or stopped waiting. */
  #readAt: number;

  constructor(open: OpenSocket, environment: StreamEnvironment, budget: Budget) {
    this.#environment = environment;
    this.#backlog = new Backlog(budget, environment.now());
    this.#receivedAt = environment.now();
    this.#readAt = environment.now();
    this.#timer = new Timer(environment, () => this.#timedOut());
    this.#socket = open({
      received: (text) => this.#received(text),
      ended: (ending) => this.end(ending),
    });
  }

  /** How the connection ended; undefined while it is open. Lines received before can still be taken. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Whether lines were dropped because the reader was too slow. */
  get isTooSlow(): boolean {
    return this.#isTooSlow;
  }

  /** When the object last sent something. */
  get receivedAt(): number {
    return this.#receivedAt;
  }

  /** Number of frames received from the object. */
  get frames(): number {
    return this.#frames;
  }

  /** Sends commands to the object. */
  send(commands: string): void {
    if (commands !== "" && !this.#ending) this.#socket.send(commands);
  }

  /**
   * Waits for whole lines, and takes at most one piece; returns "" at the end of the connection and at the deadline.
   */
  async take(deadline: number): Promise<string> {
    let lines = this.#takeNow();
    if (lines === "" && !this.#ending && deadline > this.#environment.now()) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
        this.#timer.set(deadline);
      });
      lines = this.#takeNow();
    }
    this.markRead();
    return lines;
  }

  /** Restarts the time within which the reader has to take more. */
  markRead(): void {
    this.#readAt = this.#environment.now();
    if (this.#ending && this.#backlog.size === 0) this.#timer.clear();
    else this.#timer.set(this.#readAt + STALLED_AFTER);
  }

  /** Closes the connection. Whole lines that are pending can still be taken. */
  end(ending: Ending = { code: 1000, reason: "" }): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#socket.close();
    this.#backlog.finish();
    if (this.#backlog.size === 0) this.#timer.clear();
    this.#notify();
  }

  /** Closes the connection and drops pending lines, because the reader has gone. */
  drop(): void {
    this.end();
    this.#backlog.drop();
    this.#timer.clear();
  }

  #takeNow(): string {
    if (this.#backlog.isShed) this.#dropSlowReader();
    return this.#backlog.take(this.#environment.now());
  }

  get #isStalled(): boolean {
    return !this.#wakeReader && this.#environment.now() - this.#readAt >= STALLED_AFTER;
  }

  #received(text: string): void {
    if (this.#ending) return;
    const now = this.#environment.now();
    this.#receivedAt = now;
    this.#frames += 1;
    this.#backlog.push(text, now);
    if (this.#backlog.isShed || this.#isStalled) this.#dropSlowReader();
    else if (this.#backlog.hasLines) this.#notify();
  }

  /** Ends the reader's wait, or drops a reader that took nothing for too long. */
  #timedOut(): void {
    if (this.#wakeReader) this.#notify();
    else this.#dropSlowReader();
  }

  #dropSlowReader(): void {
    this.#isTooSlow = true;
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
