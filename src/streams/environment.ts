/** The clock, randomness and timers that streams use, passed in so that tests control them. */
export interface StreamEnvironment {
  /** Milliseconds since 1970. */
  now(): number;
  /** A random number from 0, inclusive, to 1, exclusive. */
  random(): number;
  /** Calls `act` after a delay in milliseconds; returns a function that cancels the call. */
  after(milliseconds: number, act: () => void): () => void;
}

/** A timer that is cheap to postpone. In a Worker, setting a runtime timer costs more than delivering a message. */
export class Timer {
  readonly #environment: StreamEnvironment;
  readonly #act: () => void;
  /** When it fires. */
  #at = 0;
  /** The runtime's timer, which may fire earlier; undefined while the timer isn't set. */
  #armed: { at: number; cancel: () => void } | undefined;

  constructor(environment: StreamEnvironment, act: () => void) {
    this.#environment = environment;
    this.#act = act;
  }

  /** Sets when the timer fires, instead of any earlier setting. */
  set(at: number): void {
    this.#at = at;
    if (this.#armed && this.#armed.at <= at) return;
    this.clear();
    const fire = () => {
      this.#armed = undefined;
      if (this.#at > this.#environment.now()) this.set(this.#at);
      else this.#act();
    };
    this.#armed = { at, cancel: this.#environment.after(Math.max(0, at - this.#environment.now()), fire) };
  }

  clear(): void {
    this.#armed?.cancel();
    this.#armed = undefined;
  }
}
