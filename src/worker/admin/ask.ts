import type { Calls } from "../../runtime/calls.ts";
import { SettingError } from "../../runtime/limits.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";

/**
 * Calls an object for an operator.
 * @throws Denial if it doesn't answer
 */
export async function ask<Kind extends keyof Calls>(
  env: Env,
  object: string,
  kind: Kind,
  asked: Calls[Kind]["request"],
) {
  try {
    return await stubOf(env, object).call(kind, asked, WORKER_HOPS);
  } catch (error) {
    if (error instanceof SettingError) throw error;
    throw new Denial(503, "unavailable", "the channel's object doesn't answer; try again later", retryAfter(5));
  }
}
