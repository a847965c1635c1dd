/** Refuses requests with revoked tokens. Each isolate asks the root of `all` for new revocations every few seconds. */
import type { Grants } from "../auth/grants.ts";
import { type Revocation, Revocations } from "../auth/revocations.ts";
import { EVERYONE } from "../protocol/channels.ts";
import { REVOKED } from "../protocol/refusals.ts";
import { stubOf, WORKER_HOPS } from "./calls.ts";
import { Denial } from "./denial.ts";
import type { Env } from "./env.ts";

const known = new WeakMap<object, Revocations>();

/**
 * Checks that a token isn't revoked. While the root of `all` doesn't answer, the revocations known so far count; objects
 * learn of the others when they reach it again.
 * @throws Denial if it is revoked
 */
export async function checkRevoked(env: Env, grants: Grants): Promise<void> {
  if (grants.sub === undefined) return;
  const revocations = revocationsOf(env);
  await revocations.refresh().catch(() => {});
  if (revocations.isRevoked(grants)) throw new Denial(401, "revoked", REVOKED, {}, grants.sub);
}

/** Has this isolate refuse tokens at once; others learn of that in some seconds. */
export function noteRevocation(env: Env, revocation: Revocation): void {
  revocationsOf(env).add([revocation]);
}

function revocationsOf(env: Env): Revocations {
  const { CHANNEL } = env;
  const before = known.get(CHANNEL);
  if (before) return before;
  const fetch = async (after: number) =>
    (await stubOf(env, EVERYONE).call("revocations", { after }, WORKER_HOPS)).revocations;
  const revocations = new Revocations(fetch, Date.now);
  known.set(CHANNEL, revocations);
  return revocations;
}
