/**
 * What is counted for who runs the service, besides what `info` tells: by names that are known here, so that nothing
 * that a client says makes more of them.
 */

import { CLOSINGS, type ClosingCause, isClosingCause } from "../protocol/close-codes.ts";
import { ERROR_CODES, type ErrorCode } from "../protocol/errors.ts";
import type { Calls, Tally } from "../runtime/calls.ts";

/** Why connections ended: their clients closed them, or the server did for one of its causes. */
export const CLOSED = ["client", ...Object.keys(CLOSINGS).filter(isClosingCause)] as const;

/** Why commands were refused. */
export const REFUSED = ERROR_CODES;

/** Every call between objects. */
export const CALLS: readonly (keyof Calls)[] = [
  "link",
  "unlink",
  "deliver",
  "forward",
  "announce",
  "recover",
  "fill",
  "claim",
  "recount",
  "figures",
  "serviceFigures",
  "tally",
  "describe",
];

export type Name =
  | `closes.${"client" | ClosingCause}`
  | `refused.${ErrorCode}`
  | `resumes.${"complete" | "gap"}`
  | `${"calls" | "failures"}.${keyof Calls}`
  /** Rows written, and deleted, as far as the platform counts them. */
  | "rows"
  /** Rows and alarms that storage did not take. */
  | "rows.refused"
  /** Milliseconds for which something kept an object in memory. */
  | "awake";

/** Refusals that operators look for in a log; clients cause all others by themselves. */
const LOGGED_REFUSALS: readonly ErrorCode[] = ["forbidden", "limit", "rate", "unavailable", "uncertain"];

/** Events that are logged. */
export const LOGGED: ReadonlySet<Name> = new Set<Name>([
  ...CLOSED.filter((cause) => cause !== "client" && cause !== "expired").map(
    (cause): Name => `closes.${cause}`,
  ),
  ...LOGGED_REFUSALS.map((code): Name => `refused.${code}`),
  ...CALLS.map((kind): Name => `failures.${kind}`),
  "resumes.gap",
  "rows.refused",
]);

export function isTally(value: unknown): value is Tally {
  return (
    typeof value === "object" && value !== null && Object.values(value).every((n) => typeof n === "number")
  );
}

/** The sum of both; a version that knows fewer leaves some out. */
export function sumOfTallies(one: Tally = {}, other: Tally = {}): Tally {
  const sum = { ...one };
  for (const [name, n] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}
