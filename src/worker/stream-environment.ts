/** The clock, the timers and the chance of this Worker. */
import type { Clock } from "../streams/environment.ts";

export const CLOCK: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (milliseconds, act) => {
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  },
};
