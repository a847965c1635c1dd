/** The versions that objects of one service may be of, as while a deploy or a rollback is under way. */
import { isRecord } from "../../src/links/rows.ts";
import * as before from "../versions/before.js";
import * as today from "../versions/heart.ts";

export type Version = typeof today;

/** The code as it is. */
export const TODAY: Version = today;
/** As it was when a version was released last. */
export const BEFORE: Version = before;

/** An error as a version knows it: that of another one is of another class. */
export function errorFor({ CallFailed, TokenError }: Version, error: unknown): unknown {
  if (error instanceof today.CallFailed) return new CallFailed(error.why, error.cause);
  if (error instanceof today.TokenError) return new TokenError(error.message);
  return error;
}

/** A copy in which everything that has properties has one more, as what a later version writes or says may have. */
export function widened<T>(value: T): T {
  const copy = structuredClone(value);
  widen(copy);
  return copy;
}

function widen(value: unknown): void {
  if (!isRecord(value)) return;
  for (const part of Object.values(value)) widen(part);
  if (!Array.isArray(value)) value.fromLater = 7;
}
