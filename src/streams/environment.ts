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
export type Timer = ReturnType<typeof timer>;

export function timer(environment: StreamEnvironment, act: () => void) {
  /** When it fires. */
  let firesAt = 0;
  /** The runtime's timer, which may fire earlier; undefined while the timer isn't set. */
  let armed: { at: number; cancel: () => void } | undefined;
  const clear = () => {
    armed?.cancel();
    armed = undefined;
  };
  /** Sets when the timer fires, instead of any earlier setting. */
  const set = (at: number) => {
    firesAt = at;
    if (armed && armed.at <= at) return;
    clear();
    armed = { at, cancel: environment.after(Math.max(0, at - environment.now()), fire) };
  };
  const fire = () => {
    armed = undefined;
    if (firesAt > environment.now()) set(firesAt);
    else act();
  };
  return { set, clear };
}
