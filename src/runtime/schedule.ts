import type { Keeper, Runtime } from "./runtime.ts";

/** When the alarm goes off after the object began work that a crash would leave unfinished, in milliseconds. */
export const CRASH_CHECK = 10_000;

/** Schedules an object's deferred work. The parts of an object report to it alone. */
export interface Schedule {
  /** Flushes after the events that the runtime has already queued. */
  flush(): void;
  /** Resolves when all lines buffered so far have been sent. */
  readonly flushed: Promise<void>;
  /** Keeps the object in memory for another second; when nothing changes in that time, the object settles. */
  stay(): void;
  /** Sets the alarm for a time in milliseconds since 1970, if it isn't set for an earlier one. */
  due(at: number): void;
  /** Sets the alarm for another time than `rest`: until the object has settled, its links may be behind. */
  mark(): void;
  /** The alarm's time, in milliseconds since 1970, when all links were last known to be up to date. */
  rest: number | undefined;
}

/** What most parts of an object use. */
export interface CoreParts {
  readonly runtime: Runtime;
  readonly schedule: Schedule;
  /** Persists what storage refuses, and what deserves no row. */
  readonly connections: Keeper;
}
