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
  /** When it fires; undefined while it isn't set. */
  #at: number | undefined;
  /** The runtime's timer, which may fire earlier. */
  #armed: { at: number; cancel: () => void } | undefined;

  constructor(environment: StreamEnvironment, act: () => void) {
    this.#environment = environment;
    this.#act = act;
  }

  /** Sets when the timer fires, instead of any earlier setting. */
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
    const cancel = this.#environment.after(Math.max(0, at - this.#environment.now()), () => this.#fire());
    this.#armed = { at, cancel };
  }

  #fire(): void {
    this.#armed = undefined;
    if (this.#at === undefined) return;
    if (this.#at > this.#environment.now()) this.#arm(this.#at);
    else {
      this.#at = undefined;
      this.#act();
    }
  }
}

/**
 * Waits for work until a deadline.
 * @returns undefined if the work isn't done by then; it continues nevertheless
 */
export async function within<T>(
  environment: StreamEnvironment,
  deadline: number,
  work: Promise<T>,
): Promise<T | undefined> {
  let cancel = () => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = environment.after(Math.max(0, deadline - environment.now()), () => resolve(undefined));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
