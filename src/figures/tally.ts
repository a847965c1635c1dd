/**
 * What is counted for who runs the service, besides what `info` tells: by names that are known here, so that nothing
 * that a client says makes more of them.
 */
import type { Calls, Tally } from "../links/messages.ts";

/** Why a connection ended. CONTRIBUTING.md says more. */
export const CLOSED = [
  "client",
  "lost",
  "slow",
  "unreachable",
  "greeting",
  "busy",
  "expired",
  "waiting",
  "rate",
  "frame",
] as const;

/** Why a command was refused: it was wrong, or more than a limit, a token, memory or another object allows. */
export const REFUSED = ["invalid", "rate", "limit", "token", "budget", "unreachable"] as const;

export type Closed = (typeof CLOSED)[number];
export type Refused = (typeof REFUSED)[number];

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
  | `closes.${Closed}`
  | `refused.${Refused}`
  | `resumes.${"complete" | "gap"}`
  | `${"calls" | "failures"}.${keyof Calls}`
  /** Rows written, and deleted, as far as the platform counts them. */
  | "rows"
  /** Milliseconds for which something kept an object in memory. */
  | "awake";

/** What an operator looks for in a log. */
export const LOGGED: ReadonlySet<Name> = new Set<Name>([
  ...CLOSED.filter((cause) => cause !== "client" && cause !== "expired").map(
    (cause): Name => `closes.${cause}`,
  ),
  ...REFUSED.filter((cause) => cause !== "invalid" && cause !== "token").map(
    (cause): Name => `refused.${cause}`,
  ),
  ...CALLS.map((kind): Name => `failures.${kind}`),
  "resumes.gap",
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
