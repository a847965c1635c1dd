/** Tokens: JWTs whose claims grant permissions. */
import { base64url, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { utf8Length } from "../protocol/text.ts";
import { type Grants, isNames, MAX_SUBJECT_BYTES } from "./grants.ts";
import { NoKeys, TokenError } from "./verify.ts";

/** The key that verifies tokens: a secret shared with their issuer, or the issuer's public keys. */
type KeySettings =
  | {
      secret: string;
      /** The secret before, whose tokens are still valid. */
      previous?: string | undefined;
    }
  | {
      /** The URL of the issuer's key set. */
      keys: string;
    };

export type TokenSettings = KeySettings & {
  /** The required `aud` of tokens; undefined for any. */
  audience: string | undefined;
  /** The required `iss` of tokens; undefined for any. */
  issuer?: string | undefined;
};

/** Returns the key set at a URL. */
export type KeysAt = (url: string) => JWTVerifyGetKey;

/** Longest token. Its grants have to fit into a socket's attachment. */
export const MAX_TOKEN_BYTES = 4_096;

/** Tolerated clock skew of the token issuer, in seconds. */
const CLOCK_TOLERANCE = 5;

/** The latest expiry: the runtime's alarms can't be set beyond 2189. */
const LATEST_EXPIRY = Date.UTC(2180, 0);

/** Algorithms for public keys; secrets are only used with HS256. */
const PUBLIC_KEY_ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** Bytes of a fingerprint: enough to make collisions between a server's keys implausible. */
const FINGERPRINT_BYTES = 9;

/**
 * Verifies a token, and returns its grants.
 * @param keysAt not needed if tokens are verified with a secret
 * @throws TokenError if the token is invalid; NoKeys if the keys are unavailable
 */
export async function readToken(token: string, settings: TokenSettings, keysAt = noKeysAt): Promise<Grants> {
  if (token.length > MAX_TOKEN_BYTES) {
    throw new TokenError("forbidden", `a token has at most ${MAX_TOKEN_BYTES} bytes`);
  }
  const { payload, key } = await verified(token, settings, keysAt).catch((error) => {
    throw explained(error);
  });
  const { exp = 0, ...claims } = payload;
  const sub = subjectIn(claims);
  return {
    subscribe: namesIn(claims, "subscribe"),
    announce: namesIn(claims, "announce"),
    ...(claims.enter === undefined ? {} : { enter: namesIn(claims, "enter") }),
    until: Math.min((exp + CLOCK_TOLERANCE) * 1000, LATEST_EXPIRY),
    ...(claims.operate === true ? { operate: true } : {}),
    ...(sub === undefined ? {} : { sub }),
    key,
  };
}

const noKeysAt: KeysAt = (url) => () => {
  throw new NoKeys(`nothing fetches the keys at ${url}`);
};

/**
 * Returns the fingerprints of the keys whose tokens are valid, the current one first. They also depend on the required
 * audience and issuer, because these decide as well whether a token is valid.
 */
export async function fingerprintsOf(settings: TokenSettings): Promise<[string, ...string[]]> {
  if (!("secret" in settings)) return [await fingerprint(settings.keys, settings)];
  const { secret, previous } = settings;
  const current = await fingerprint(secret, settings);
  return previous === undefined ? [current] : [current, await fingerprint(previous, settings)];
}

async function fingerprint(key: string, { audience, issuer }: TokenSettings): Promise<string> {
  const text = JSON.stringify([key, audience ?? null, issuer ?? null]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return base64url.encode(new Uint8Array(digest, 0, FINGERPRINT_BYTES));
}

/** @returns the claims, and the fingerprint of the key that verified the signature */
async function verified(
  token: string,
  settings: TokenSettings,
  keysAt: KeysAt,
): Promise<{ payload: JWTPayload; key: string }> {
  const { audience, issuer } = settings;
  const common = {
    clockTolerance: CLOCK_TOLERANCE,
    requiredClaims: ["exp"],
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  };
  const [current, previous = current] = await fingerprintsOf(settings);
  if ("keys" in settings) {
    const options = { ...common, algorithms: PUBLIC_KEY_ALGORITHMS };
    return { ...(await jwtVerify(token, keysAt(settings.keys), options)), key: current };
  }
  const options = { ...common, algorithms: ["HS256"] };
  const check = (secret: string) => jwtVerify(token, new TextEncoder().encode(secret), options);
  try {
    return { ...(await check(settings.secret)), key: current };
  } catch (error) {
    const isOther = error instanceof errors.JWSSignatureVerificationFailed;
    if (!isOther || settings.previous === undefined) throw error;
    return { ...(await check(settings.previous)), key: previous };
  }
}

function explained(error: unknown): unknown {
  if (error instanceof NoKeys) return error;
  if (error instanceof errors.JWTExpired) {
    return new TokenError("expired", "the token has expired; get a new one", error.payload.sub);
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new TokenError("forbidden", claimFault(error), error.payload.sub);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new TokenError("forbidden", "the token's algorithm isn't accepted by this server; with a secret, use HS256");
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new TokenError("forbidden", "the token's signature is wrong; sign it with the key of this server");
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return new TokenError("forbidden", "the token doesn't name a key that this server knows");
  }
  if (
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JOSENotSupported
  ) {
    return new TokenError("forbidden", "the token isn't a signed JWT; make one with a JWT library, or `fanout token`");
  }
  return new NoKeys("the keys that verify tokens can't be used", undefined, { cause: error });
}

/** The settings that require a value of a claim. */
const REQUIRED_BY: Record<string, string> = { aud: "TOKEN_AUDIENCE", iss: "TOKEN_ISSUER" };

function claimFault({ claim, reason }: errors.JWTClaimValidationFailed): string {
  const what = `the token's claim '${claim}'`;
  const setting = REQUIRED_BY[claim];
  if (reason === "missing") return `${what} is missing; add it`;
  if (setting !== undefined) return `${what} isn't this server's ${setting}; make them equal`;
  if (claim === "nbf" && reason === "check_failed") return `${what} is in the future; check the clock of its issuer`;
  return `${what} is malformed; it has to be a time in Unix seconds`;
}

function namesIn(claims: JWTPayload, claim: "subscribe" | "announce" | "enter"): string[] {
  const names = claims[claim] ?? [];
  if (isNames(names)) return names;
  throw new TokenError("forbidden", `the token's claim '${claim}' isn't a list of channels, such as ["news"]`);
}

/** Returns the token's subject; undefined if it has none. */
function subjectIn(claims: JWTPayload): string | undefined {
  const sub: unknown = claims.sub ?? undefined;
  if (sub === undefined || (typeof sub === "string" && utf8Length(sub) <= MAX_SUBJECT_BYTES)) return sub;
  throw new TokenError("forbidden", `the token's claim 'sub' is text of at most ${MAX_SUBJECT_BYTES} bytes`);
}
