/** Names of the counters for metrics that `info` doesn't show. They are fixed, so clients can't create more of them. */

import { CLOSINGS, type ClosingCause, isClosingCause } from "../protocol/close-codes.ts";
import { ERROR_CODES, type ErrorCode, isErrorCode } from "../protocol/errors.ts";
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
  "revoke",
  "revoked",
  "revocations",
  "claim",
  "recount",
  "figures",
  "serviceFigures",
  "tally",
  "channels",
  "summary",
  "describe",
];

/** The kinds of changes of a channel's members. */
export const MEMBER_CHANGES: readonly MemberChange["kind"][] = ["enter", "update", "leave"];

/** Failures of the Worker itself: fetching the keys of tokens, answering a request. */
export const WORKER_FAILURES = ["keys", "request"] as const;

export type WorkerFailure = (typeof WORKER_FAILURES)[number];

export type Name =
  | `closes.${"client" | ClosingCause}`
  /** Commands that objects refused. */
  | `refused.${ErrorCode}`
  /** Requests that the Worker refused. */
  | `requests.${ErrorCode}`
  | `worker.${WorkerFailure}`
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

/** Errors that only clients cause, and that operators needn't look for. */
const MISTAKES: ReadonlySet<ErrorCode> = new Set(["invalid", "no-history", "conflict"]);

/** Refusals that are logged, of commands by objects, and of requests by the Worker. */
export const LOGGED_REFUSALS = ERROR_CODES.filter((code) => !MISTAKES.has(code));

/** Events that are logged. */
export const LOGGED: ReadonlySet<Name> = new Set<Name>([
  ...CLOSED.filter((cause) => cause !== "client" && cause !== "expired").map((cause): Name => `closes.${cause}`),
  ...LOGGED_REFUSALS.map((code): Name => `refused.${code}`),
  ...CALLS.map((kind): Name => `failures.${kind}`),
  "resumes.gap",
  "rows.refused",
]);

/** The labels of an event. */
export interface Labels {
  /** The cause of a close. */
  reason?: ClosingCause | "client";
  outcome?: string;
  kind?: string;
  /** The error code that clients receive; "" if they receive none. */
  code?: ErrorCode | "";
}

/** Calls that announce: if they fail, they may have been carried out. */
const UNCERTAIN: ReadonlySet<string> = new Set<keyof Calls>(["announce", "forward"]);

/** Returns the labels of an event, which are the same in the log and in metrics. */
export function labelsOf(name: Name): Labels {
  const [group, value = ""] = name.split(".");
  if (group === "closes") {
    return isClosingCause(value) ? { reason: value, code: CLOSINGS[value].code } : { reason: "client", code: "" };
  }
  if (group === "refused" || group === "requests") return isErrorCode(value) ? { code: value } : {};
  if (group === "failures") return { kind: value, code: UNCERTAIN.has(value) ? "uncertain" : "unavailable" };
  if (group === "worker") return { kind: value, code: "unavailable" };
  if (group === "calls" || group === "members") return { kind: value };
  if (group === "resumes") return { outcome: value };
  return name === "rows.refused" ? { code: "unavailable" } : {};
}

export function isTally(value: unknown): value is Tally {
  return isRecord(value) && Object.values(value).every(isNumber);
}

/** Adds two tallies. Either may lack names, because objects may run different versions. */
export function sumOfTallies(one: Tally = {}, other: Tally = {}): Tally {
  const sum = { ...one };
  for (const [name, n] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}
