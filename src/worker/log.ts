/** The Worker's log: lines of JSON, without tokens, messages and queries. */

/** Kinds of events. The set is fixed, so that clients can't grow it. */
export type WorkerEvent = `refused.${"401" | "403" | "429"}` | `failures.${"keys" | "request" | "settings"}`;

/** Least time between two lines of the same kind, in milliseconds. */
const INTERVAL = 10_000;

/** When each kind was last logged, and how often it has occurred since. */
const logged = new Map<WorkerEvent, { at: number; times: number }>();

/** Logs an event, with the number of events since the last line of its kind, unless that line is too recent. */
export function log(event: WorkerEvent, details: Record<string, string | undefined> = {}): void {
  const now = Date.now();
  const { at, times } = logged.get(event) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
  const isDue = now - at >= INTERVAL;
  if (isDue) console.warn(JSON.stringify({ event, times: times + 1, ...details }));
  logged.set(event, isDue ? { at: now, times: 0 } : { at, times: times + 1 });
}
