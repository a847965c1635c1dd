/** Announces without a connection, by a call to the root of the channel. */

import { parseMessages } from "../../protocol/bodies.ts";
import { KEY_CONFLICT, NO_HISTORY } from "../../protocol/refusals.ts";
import { type Limits, SettingError } from "../../runtime/limits.ts";
import { wasNotMade } from "../../runtime/runtime.ts";
import { announceFault } from "../../session/announce-fault.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";
import { POSITION } from "../responses.ts";

export interface AnnounceOptions {
  /** The idempotency key, under which the channel announces once within its retention. */
  key?: string | undefined;
  /** The position that the newest message must have. */
  expected?: number | undefined;
}

/**
 * Announces messages at consecutive positions, or none of them.
 * @returns the position of the last message; undefined on channels without history
 * @throws Denial if nothing was announced, or if that is uncertain; SettingError if the deployment is at fault
 */
export async function announce(
  env: Env,
  channel: string,
  messages: string[],
  { key, expected }: AnnounceOptions,
  limits: Limits,
): Promise<number | undefined> {
  const parsed = parseMessages(channel, messages, key, limits);
  if ("why" in parsed) throw new Denial(400, parsed.code, parsed.why);
  const asked = stubOf(env, channel).call("announce", { ...parsed, key, expected }, WORKER_HOPS);
  const answer = await asked.catch((error: unknown) => {
    if (error instanceof SettingError) throw error;
    const { code, why } = announceFault(error);
    const isRepeatable = wasNotMade(error) || key !== undefined;
    throw new Denial(503, code, why, isRepeatable ? retryAfter(1) : {});
  });
  if ("conflict" in answer) throw new Denial(409, "conflict", KEY_CONFLICT);
  if ("none" in answer) throw new Denial(400, "no-history", NO_HISTORY);
  if ("last" in answer) return answer.last;
  const why = `the newest position is ${answer.newest}`;
  throw new Denial(412, "conflict", why, { [POSITION]: String(answer.newest) });
}
