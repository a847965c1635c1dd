/** Tokens: where they come from, and when they are renewed. */

import type { Environment } from "./environment.ts";
import { demand } from "./inputs.ts";
import { inTime } from "./timing.ts";
import type { FanoutOptions } from "./types.ts";

/** How long before its end a token is renewed, in milliseconds. */
const BEFORE_END = 30_000;

/** Shortest and longest time until a renewal, in milliseconds. */
const LEAST = 2_000;
const MOST = 86_400_000;

/** Time until a renewal, in milliseconds, if the clock can't be right and the token doesn't say how long it lives. */
const UNKNOWN = 60_000;

/** @throws Error if that can't be sent as a token */
export function checkToken(token: unknown): string {
  // A WebSocket sends it as a subprotocol.
  const isToken = typeof token === "string" && /^[\w.-]+$/.test(token);
  // A token is a secret, also one with a line end.
  const value = typeof token === "string" ? "…" : token;
  demand(isToken, "the token", value, "a JWT, or a function that returns one");
  return token;
}

/**
 * Gets a token; undefined if the client has none.
 * @throws what the function throws, or Error if it takes too long or returns no token
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
 * Milliseconds until a token should be renewed; undefined if it doesn't say when it ends. A clock that is off must
 * neither cause a renewal at once, again and again, nor none at all.
 * @param date milliseconds since 1970, by a clock that may be wrong
 */
export function untilRenewal(token: string, date: number): number | undefined {
  const { exp, iat } = claimsIn(token);
  if (typeof exp !== "number") return undefined;
  // No number if the token doesn't say when it was issued.
  const lifetime = (exp - Number(iat)) * 1_000;
  let left = exp * 1_000 - date;
  // A server that has just taken it knows better.
  if (left <= 0 || left > lifetime) left = lifetime > 0 ? lifetime : UNKNOWN;
  const least = Math.max(LEAST, Math.min(BEFORE_END, lifetime / 4 || 0));
  return Math.min(MOST, Math.max(least, left / 2, left - BEFORE_END));
}

/** When a token ends and was issued, in Unix seconds. */
function claimsIn(token: string): { exp?: unknown; iat?: unknown } {
  try {
    const [, payload = ""] = token.replaceAll("-", "+").replaceAll("_", "/").split(".");
    return Object(JSON.parse(atob(payload)));
  } catch {
    return {};
  }
}
