/** Tokens for tests. */
import { CompactSign, type CryptoKey } from "jose";

/** The secret of the tests' servers. */
export const SECRET = "a secret of the tests, of more than 32 bytes";

/** Claims that grant everything except announcing on `all`. */
export const EVERYTHING = { subscribe: ["*"], announce: ["*"] };

/** Returns the time in whole seconds since 1970. */
export function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Makes a token that is valid for an hour, unless `claims` have another expiry; text is signed unchanged. */
export function mint(claims: Record<string, unknown> | string = {}, secret = SECRET): Promise<string> {
  return sign({ alg: "HS256" }, claims, new TextEncoder().encode(secret));
}

/** Makes a token with any header and key. */
export function sign(
  header: { alg: string; [parameter: string]: unknown },
  claims: Record<string, unknown> | string,
  key: CryptoKey | Uint8Array,
): Promise<string> {
  const payload = typeof claims === "string" ? claims : JSON.stringify({ exp: seconds() + 3_600, ...claims });
  return new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader(header).sign(key);
}

/** Returns the headers of a connection with a token. */
export function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

/** Returns the headers of a connection with a token for `claims`. */
export async function granting(claims: Record<string, unknown>): Promise<Record<string, string>> {
  return bearer(await mint(claims));
}
