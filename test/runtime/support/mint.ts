/** Tokens for tests. */
import { CompactSign, type CryptoKey } from "jose";

/** What the servers of the tests check tokens with. */
export const SECRET = "a secret of the tests, of more than 32 bytes";

/** Claims that allow everything, but to announce on `all`. */
export const EVERYTHING = { subscribe: ["*"], announce: ["*"] };

/** The time in whole seconds since 1970. */
export function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** A token that is good for an hour, unless `claims` say otherwise; text is signed as it is. */
export function mint(claims: Record<string, unknown> | string = {}, secret = SECRET): Promise<string> {
  return sign({ alg: "HS256" }, claims, new TextEncoder().encode(secret));
}

/** A token with another header, signed with another key. */
export function sign(
  header: { alg: string; [parameter: string]: unknown },
  claims: Record<string, unknown> | string,
  key: CryptoKey | Uint8Array,
): Promise<string> {
  const payload = typeof claims === "string" ? claims : JSON.stringify({ exp: seconds() + 3_600, ...claims });
  return new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader(header).sign(key);
}

/** The headers of a connection that hands its token in as most clients can. */
export function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

/** The headers of a connection that may do what `claims` say. */
export async function granting(claims: Record<string, unknown>): Promise<Record<string, string>> {
  return bearer(await mint(claims));
}
