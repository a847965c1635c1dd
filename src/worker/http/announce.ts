/** Announcing from a Worker, for whoever asked it to: at the root of the channel, without a connection. */

import { parseMessages } from "../../protocol/bodies.ts";
import { KEY_CONFLICT, NO_HISTORY } from "../../protocol/refusals.ts";
import { type Limits, SettingError } from "../../runtime/limits.ts";
import { wasNotMade } from "../../runtime/runtime.ts";
import { announceFault } from "../../session/announce-fault.ts";
import { CALLED_BY_WORKER, stubOf } from "../calls.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";
import { POSITION } from "../responses.ts";

export interface AnnounceOptions {
  /** Under which the messages are announced once, however often that is asked for while history lasts. */
  key?: string | undefined;
  /** Which position the newest message has to have. */
  expected?: number | undefined;
}

/**
 * Announces messages next to each other, all or none.
 * @returns the position of the last one; undefined where no history is kept
 * @throws Denial if that was not done, or nobody knows; SettingError if the deployment is at fault
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
  const asked = stubOf(env, channel).call("announce", { ...parsed, key, expected }, CALLED_BY_WORKER);
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
