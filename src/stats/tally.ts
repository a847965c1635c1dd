/** Names of the counters for metrics that `info` doesn't show. They are fixed, so clients can't create more of them. */

import { CLOSINGS, type ClosingCause, isClosingCause } from "../protocol/close-codes.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import type { MemberChange } from "../protocol/members.ts";
import type { Calls, Tally } from "../runtime/calls.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";

/** Reasons for closing connections: the client closed it, or the server's cause. */
export const CLOSED = ["client", ...Object.keys(CLOSINGS).filter(isClosingCause)] as const;

/** All calls between objects. */
export const CALLS: readonly (keyof Calls)[] = [
  "link",
  "unlink",
  "deliver",
  "forward",
  "announce",
  "recover",
  "present",
  "restate",
  "members",
  "fill",
  "claim",
  "recount",
  "figures",
  "serviceFigures",
  "tally",
  "describe",
];

/** The kinds of changes of a channel's members. */
export const MEMBER_CHANGES: readonly MemberChange["kind"][] = ["enter", "update", "leave"];

export type Name =
  | `closes.${"client" | ClosingCause}`
  | `refused.${ErrorCode}`
  | `resumes.${"complete" | "gap"}`
  | `${"calls" | "failures"}.${keyof Calls}`
  /** Changes of members announced. */
  | `members.${MemberChange["kind"]}`
  /** Rows written or deleted, as the platform counts them. */
  | "rows"
  /** Rows and alarms that storage rejected. */
  | "rows.refused"
  /** Milliseconds that events kept an object in memory. */
  | "awake";

/** Refusals that operators look for; clients alone cause all others. */
const LOGGED_REFUSALS: readonly ErrorCode[] = ["forbidden", "limit", "rate", "unavailable", "uncertain"];

/** Events that are logged. */
export const LOGGED: ReadonlySet<Name> = new Set<Name>([
  ...CLOSED.filter((cause) => cause !== "client" && cause !== "expired").map((cause): Name => `closes.${cause}`),
  ...LOGGED_REFUSALS.map((code): Name => `refused.${code}`),
  ...CALLS.map((kind): Name => `failures.${kind}`),
  "resumes.gap",
  "rows.refused",
]);

export function isTally(value: unknown): value is Tally {
  return isRecord(value) && Object.values(value).every(isNumber);
}

/** Adds two tallies. Either may lack names, because objects may run different versions. */
export function sumOfTallies(one: Tally = {}, other: Tally = {}): Tally {
  const sum = { ...one };
  for (const [name, n] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}
