/** Whether the end of a connection, or of an attempt at one, is a refusal that the server would repeat. */
import { clauseOf, type Fault, isTemporary } from "../protocol/errors.ts";
import { Refused } from "./errors.ts";
import type { Answer } from "./http.ts";

/** Refusals of new tokens in a row after which there is no hope; clocks that differ a little pass by then. */
const MOST_REFUSALS = 6;

/**
 * Judges the closing of a connection that was accepted. Only a token can be a reason to give up.
 * @param fault undefined if something else than the server closed it
 * @param areRenewable whether the next token may be another one
 * @returns undefined if another attempt may succeed
 */
export function judgeClosing(fault: Fault | undefined, areRenewable: boolean): Refused | undefined {
  const hasEnded = fault?.code === "expired" || fault?.code === "revoked";
  return hasEnded && !areRenewable ? new Refused(fault.code, fault.why) : undefined;
}

/**
 * Judges a response that refuses.
 * @param refusals of tokens in a row, this one included
 * @returns undefined if another attempt may succeed
 */
export function judgeAnswer(
  { status, code, said }: Answer,
  areRenewable: boolean,
  refusals: number,
): Refused | undefined {
  // Something between client and server may say anything, for a while.
  if (code === undefined || isTemporary(code) || code === "uncertain" || status >= 500) return undefined;
  const isHopeful = areRenewable && (code === "expired" || refusals < MOST_REFUSALS);
  return status === 401 && isHopeful ? undefined : new Refused(code, clauseOf(said));
}
