/** What streams need of the runtime that they run in, passed in so that a simulation can decide it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** A number from 0 up to 1, without 1 itself. */
  random(): number;
  /** Calls `act` after some milliseconds; returns a function that cancels this. */
  after(milliseconds: number, act: () => void): () => void;
}

/** A timer whose time may be put off any number of times for free: in a Worker, setting one costs more than a message. */
export class Timer {
  readonly #clock: Clock;
  readonly #act: () => void;
  /** When it goes off; undefined while it isn't set. */
  #at: number | undefined;
  /** The runtime's timer, which may be set for an earlier time. */
  #armed: { at: number; cancel: () => void } | undefined;

  constructor(clock: Clock, act: () => void) {
    this.#clock = clock;
    this.#act = act;
  }

  /** Has the timer go off at a time, and not at the time that was set before. */
  set(at: number): void {
    this.#at = at;
    if (this.#armed && this.#armed.at <= at) return;
    this.#armed?.cancel();
    this.#arm(at);
  }

  clear(): void {
    this.#at = undefined;
    this.#armed?.cancel();
    this.#armed = undefined;
  }

  #arm(at: number): void {
    const cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#fire());
    this.#armed = { at, cancel };
  }

  #fire(): void {
    this.#armed = undefined;
    if (this.#at === undefined) return;
    if (this.#at > this.#clock.now()) this.#arm(this.#at);
    else {
      this.#at = undefined;
      this.#act();
    }
  }
}

/**
 * Waits for some work, at most until a time.
 * @returns undefined if the work took longer; it goes on nevertheless
 */
export async function within<T>(clock: Clock, until: number, work: Promise<T>): Promise<T | undefined> {
  let cancel = () => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(Math.max(0, until - clock.now()), () => resolve(undefined));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
