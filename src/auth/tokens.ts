/** Tokens: JWTs that say what their bearer may do. */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { type Grants, isNames } from "./grants.ts";
import { NoKeys, TokenError } from "./verify.ts";

/** How tokens are checked: with a secret shared with who makes them, or with their public keys. */
export type TokenSettings = ({ secret: string } | { keys: string }) & {
  /** What a token's `aud` has to be; undefined if that is not looked at. */
  audience: string | undefined;
};

/** Longest token. What it grants has to fit into what outlives hibernation, with room to spare. */
export const MAX_TOKEN_BYTES = 4_096;

/** How far the clock of who makes tokens may be off, in seconds. */
const CLOCK_TOLERANCE = 5;

/** The end of what never ends: alarms of the runtime reach no further than 2189. */
const FOR_EVER = Date.UTC(2180, 0);

/** Those that take a public key; a secret is only ever used with HS256. */
const PUBLIC_KEY_ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/**
 * Reads what `token` grants.
 * @throws TokenError if it is not good; NoKeys if nobody can tell
 */
export async function readToken(token: string, settings: TokenSettings): Promise<Grants> {
  if (token.length > MAX_TOKEN_BYTES) {
    throw new TokenError("forbidden", `a token has at most ${MAX_TOKEN_BYTES} bytes`);
  }
  const { exp = 0, ...claims } = await verified(token, settings);
  return {
    subscribe: namesIn(claims, "subscribe"),
    announce: namesIn(claims, "announce"),
    until: Math.min((exp + CLOCK_TOLERANCE) * 1000, FOR_EVER),
    ...(claims.operate === true ? { operate: true } : {}),
  };
}

async function verified(token: string, settings: TokenSettings): Promise<JWTPayload> {
  const common = {
    clockTolerance: CLOCK_TOLERANCE,
    requiredClaims: ["exp"],
    ...(settings.audience === undefined ? {} : { audience: settings.audience }),
  };
  try {
    if ("secret" in settings) {
      const key = new TextEncoder().encode(settings.secret);
      return (await jwtVerify(token, key, { ...common, algorithms: ["HS256"] })).payload;
    }
    const options = { ...common, algorithms: PUBLIC_KEY_ALGORITHMS };
    return (await jwtVerify(token, keysAt(settings.keys), options)).payload;
  } catch (error) {
    throw explained(error);
  }
}

/** A key set, which is fetched when it is needed, and again when a token names a key that it lacks. */
let keySet: { url: string; keys: JWTVerifyGetKey } | undefined;

function keysAt(url: string): JWTVerifyGetKey {
  if (keySet?.url !== url) keySet = { url, keys: createRemoteJWKSet(new URL(url)) };
  return keySet.keys;
}

function explained(error: unknown): Error {
  if (error instanceof errors.JWTExpired)
    return new TokenError("expired", "the token has expired; get a new one");
  if (error instanceof errors.JWTClaimValidationFailed) {
    const what = error.reason === "missing" ? "is missing" : "isn't what this server requires";
    return new TokenError("forbidden", `the token's claim '${error.claim}' ${what}`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new TokenError("forbidden", "the token's algorithm isn't accepted by this server");
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new TokenError("forbidden", "the token's signature is wrong");
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return new TokenError("forbidden", "the token doesn't name a key that this server knows");
  }
  if (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JOSENotSupported
  ) {
    return new TokenError("forbidden", "the token isn't a signed JWT");
  }
  return new NoKeys("the keys that verify tokens are unavailable", { cause: error });
}

function namesIn(claims: Record<string, unknown>, claim: "subscribe" | "announce"): string[] {
  const names = claims[claim] ?? [];
  if (isNames(names)) return names;
  throw new TokenError("forbidden", `the token's claim '${claim}' isn't a list of channels`);
}
