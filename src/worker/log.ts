/** The Worker's log: lines of JSON, without tokens, messages and queries. */
import type { ErrorCode } from "../protocol/errors.ts";
import type { WorkerFailure } from "../stats/tally.ts";

/** Kinds of events. The set is fixed, so that clients can't grow it. */
export type WorkerEvent = `refused.${ErrorCode}` | `failures.${WorkerFailure | "settings"}`;

/** What a line says about the newest event that it counts. */
interface Details {
  /** The HTTP status. */
  status?: number;
  code: ErrorCode;
  /** What the request wanted to do. */
  command?: string;
  why: string;
  /** The subject of the token. */
  sub?: string | undefined;
}

/** Least time between two lines of the same kind, in milliseconds. */
const INTERVAL = 10_000;

/** When each kind was last logged, and how often it has occurred since. */
const logged = new Map<string, { at: number; times: number }>();

/**
 * Logs an event, with the number of events since the last line of its kind, unless that line is too recent. Refusals
 * with different statuses are different kinds.
 */
export function log(event: WorkerEvent, details: Details): void {
  const now = Date.now();
  const kind = `${event} ${details.status ?? ""}`;
  const { at, times } = logged.get(kind) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
  const isDue = now - at >= INTERVAL;
  const [group, failure] = event.split(".");
  const labels = group === "failures" ? { kind: failure } : {};
  if (isDue) console.warn(JSON.stringify({ event, times: times + 1, ...labels, ...details }));
  logged.set(kind, isDue ? { at: now, times: 0 } : { at, times: times + 1 });
}
