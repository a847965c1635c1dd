/** Tokens and their renewal. */

import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { inTime } from "./timing.ts";
import type { FanoutOptions } from "./types.ts";

/** How long before its expiry a token is renewed, in milliseconds. */
const BEFORE_EXPIRY = 30_000;

/** Bounds of the time until a renewal, in milliseconds. */
const MIN_DELAY = 2_000;
const MAX_DELAY = 86_400_000;

/** Time until a renewal, in milliseconds, if the clock is wrong and the token's lifetime unknown. */
const DEFAULT_DELAY = 60_000;

/** @throws Refused if `token` isn't a JWT; its message doesn't show the token, even if it's invalid */
export function checkToken(token: unknown): string {
  // WebSockets send it as a subprotocol, which limits its characters.
  if (typeof token === "string" && /^[\w.-]+$/.test(token)) return token;
  const why = `the token is of type ${typeof token}; it takes a JWT, or a function that returns one`;
  throw new Refused("invalid", why);
}

/**
 * Returns the current token; undefined if the client has none.
 * @throws the function's error; Error if it times out; Refused if it returns no token
 */
export async function getToken(
  environment: Environment,
  source: FanoutOptions["token"],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (typeof source !== "function") return source;
  const late = "the function `token` didn't return within 20 s";
  return checkToken(await inTime(environment, signal, async () => source(), late));
}

/**
 * Returns the time until a token should be renewed, in milliseconds; undefined if it has no expiry. A wrong clock must
 * cause neither immediate renewals in a loop nor a missed one.
 * @param date milliseconds since 1970, by a clock that may be wrong
 */
export function untilRenewal(token: string, date: number): number | undefined {
  const { exp, iat } = claimsIn(token);
  if (typeof exp !== "number") return undefined;
  // NaN if the token has no `iat`.
  const lifetime = (exp - Number(iat)) * 1_000;
  let left = exp * 1_000 - date;
  // The server has just accepted the token, so the clock is wrong.
  if (left <= 0 || left > lifetime) left = lifetime > 0 ? lifetime : DEFAULT_DELAY;
  const least = Math.max(MIN_DELAY, Math.min(BEFORE_EXPIRY, lifetime / 4 || 0));
  return Math.min(MAX_DELAY, Math.max(least, left / 2, left - BEFORE_EXPIRY));
}

/** Returns a token's expiry and issue time, in Unix seconds. */
function claimsIn(token: string): { exp?: unknown; iat?: unknown } {
  try {
    const [, payload = ""] = token.replaceAll("-", "+").replaceAll("_", "/").split(".");
    return Object(JSON.parse(atob(payload)));
  } catch {
    return {};
  }
}
