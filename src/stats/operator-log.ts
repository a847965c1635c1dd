/** Logs events that operators look for: what happened and how often, at most one line per event every ten seconds. */
import type { RawRuntime } from "../runtime/runtime.ts";
import { LOGGED, type Name } from "./tally.ts";

/** The shortest time between two log lines of one event, in milliseconds. */
const LOG_INTERVAL = 10_000;

export class OperatorLog {
  readonly #runtime: Pick<RawRuntime, "log" | "now" | "refusal">;
  /** When each event was last logged, and how often it has happened since. */
  readonly #noted = new Map<Name, { at: number; times: number }>();

  constructor(runtime: Pick<RawRuntime, "log" | "now" | "refusal">) {
    this.#runtime = runtime;
  }

  /** Logs an event, if operators look for it and its last line is long enough ago. */
  note(event: Name): void {
    if (!LOGGED.has(event)) return;
    const now = this.#runtime.now();
    const { at, times } = this.#noted.get(event) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
    const isDue = now - at >= LOG_INTERVAL;
    if (isDue) this.#log(event, times + 1);
    this.#noted.set(event, isDue ? { at: now, times: 0 } : { at, times: times + 1 });
  }

  #log(event: Name, times: number): void {
    const cause = event === "rows.refused" ? this.#runtime.refusal?.() : undefined;
    this.#runtime.log({ event, times, ...(cause !== undefined && { cause }) });
  }
}
