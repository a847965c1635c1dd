/** What streams use of this Worker's runtime. */
import type { StreamEnvironment } from "../streams/environment.ts";

export const STREAM_ENVIRONMENT: StreamEnvironment = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (milliseconds, act) => {
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  },
};
