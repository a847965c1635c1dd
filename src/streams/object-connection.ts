/**
 * A connection to an object on behalf of an HTTP client: the Worker holds the client's end of the socket, so that the
 * object may hibernate while the response goes on.
 */
import { Backlog, type Budget, STALLED_AFTER } from "./backlog.ts";
import { type Clock, Timer } from "./environment.ts";

/** How a connection ended. */
export interface Ending {
  code: number;
  reason: string;
}

/** The client's end of a socket into an object. */
export interface Wire {
  /** Sends a frame; does nothing if the socket is closed. */
  send(text: string): void;
  close(): void;
}

/** What a socket tells its owner; none of this happens before `open` has returned. */
export interface Receiver {
  received(text: string): void;
  ended(ending: Ending): void;
}

/** Opens a socket that an object has accepted. */
export type Open = (receiver: Receiver) => Wire;

export class Tap {
  readonly #clock: Clock;
  readonly #backlog: Backlog;
  readonly #wire: Wire;
  readonly #timer: Timer;
  #ending: Ending | undefined;
  #isCut = false;
  /** Ends the wait of a reader; undefined while none waits. */
  #wake: (() => void) | undefined;
  #heardAt: number;
  #frames = 0;
  /** When the reader was served. */
  #servedAt: number;

  constructor(open: Open, clock: Clock, budget: Budget) {
    this.#clock = clock;
    this.#backlog = new Backlog(budget, clock.now());
    this.#heardAt = clock.now();
    this.#servedAt = clock.now();
    this.#timer = new Timer(clock, () => this.#timedOut());
    this.#wire = open({
      received: (text) => this.#received(text),
      ended: (ending) => this.end(ending),
    });
  }

  /** How the connection has ended; undefined while it is open. What was received before can still be taken. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Whether lines were dropped, as the reader was too slow. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** When the object sent something last. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** How many frames the object has sent. */
  get frames(): number {
    return this.#frames;
  }

  /** Sends commands to the object. */
  say(commands: string): void {
    if (commands !== "" && !this.#ending) this.#wire.send(commands);
  }

  /** Takes whole lines, one piece at most. Waits for some, but returns "" at the end, and when `until` has come. */
  async take(until: number): Promise<string> {
    let lines = this.#takeNow();
    if (lines === "" && !this.#ending && until > this.#clock.now()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#timer.set(until);
      });
      lines = this.#takeNow();
    }
    this.served();
    return lines;
  }

  /** Notes that the reader has got something, or nothing, and is to come again soon. */
  served(): void {
    this.#servedAt = this.#clock.now();
    if (this.#ending && this.#backlog.size === 0) this.#timer.clear();
    else this.#timer.set(this.#servedAt + STALLED_AFTER);
  }

  /** Closes the connection. The whole lines that are pending can still be taken. */
  end(ending: Ending = { code: 1000, reason: "" }): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#wire.close();
    this.#backlog.finish();
    if (this.#backlog.size === 0) this.#timer.clear();
    this.#notify();
  }

  /** Closes the connection on behalf of a reader that has gone. */
  drop(): void {
    this.end();
    this.#backlog.drop();
    this.#timer.clear();
  }

  #takeNow(): string {
    if (this.#backlog.isShed) this.#cut();
    return this.#backlog.take(this.#clock.now());
  }

  get #isStalled(): boolean {
    return !this.#wake && this.#clock.now() - this.#servedAt >= STALLED_AFTER;
  }

  #received(text: string): void {
    if (this.#ending) return;
    const now = this.#clock.now();
    this.#heardAt = now;
    this.#frames += 1;
    this.#backlog.push(text, now);
    if (this.#backlog.isShed || this.#isStalled) this.#cut();
    else if (this.#backlog.hasLines) this.#notify();
  }

  /** A reader has waited long enough, or one has taken nothing for long. */
  #timedOut(): void {
    if (this.#wake) this.#notify();
    else this.#cut();
  }

  /** Gives a slow reader up. */
  #cut(): void {
    this.#isCut = true;
    this.drop();
  }

  #notify(): void {
    const wake = this.#wake;
    if (!wake) return;
    this.#wake = undefined;
    this.#servedAt = this.#clock.now();
    wake();
  }
}
