/** Logs events that operators look for: what happened and how often, at most one line per event every ten seconds. */
import type { LogDetails, RawRuntime } from "../runtime/runtime.ts";
import { LOGGED, labelsOf, type Name } from "./tally.ts";

/** The shortest time between two log lines of one event, in milliseconds. */
const LOG_INTERVAL = 10_000;

type LogRuntime = Pick<RawRuntime, "log" | "now" | "refusal">;

/**
 * Returns a function that logs an event with its labels and details, if operators look for it and its last line is long
 * enough ago.
 */
export function operatorLog({ log, now, refusal }: LogRuntime): (event: Name, details?: LogDetails) => void {
  /** When each event was last logged, and how often it has happened since. */
  const noted = new Map<Name, { at: number; times: number }>();
  return (event, details) => {
    if (!LOGGED.has(event)) return;
    const { at, times } = noted.get(event) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
    const isDue = now() - at >= LOG_INTERVAL;
    noted.set(event, isDue ? { at: now(), times: 0 } : { at, times: times + 1 });
    if (!isDue) return;
    const cause = event === "rows.refused" ? refusal?.() : undefined;
    log({ event, times: times + 1, ...labelsOf(event), ...details, ...(cause !== undefined && { cause }) });
  };
}
