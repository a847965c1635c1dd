/** The interface through which objects verify tokens. */
import type { ErrorCode } from "../protocol/errors.ts";
import type { Grants } from "./grants.ts";

/** Verifies tokens. */
export interface Guard {
  /**
   * Returns a token's grants.
   * @throws TokenError if the token is invalid; NoKeys if the keys are unavailable
   */
  verify(token: string): Promise<Grants>;
  /** Fingerprints of the keys whose tokens are valid. */
  readonly keys: ReadonlySet<string>;
  /** The longest lifetime of tokens, in seconds; undefined for any. */
  readonly maxSeconds?: number | undefined;
}

/** An invalid token; the message says why it is. */
export class TokenError extends Error {
  readonly code: Extract<ErrorCode, "expired" | "forbidden" | "revoked">;
  /** The token's subject, if its signature is valid. */
  readonly sub: string | undefined;

  constructor(code: TokenError["code"], why: string, sub: string | undefined = undefined) {
    super(why);
    this.code = code;
    this.sub = sub;
  }
}

/** The keys that verify tokens are unavailable. */
export class NoKeys extends Error {
  /** Seconds after which to retry. */
  readonly seconds: number;

  constructor(why: string, seconds = 30, options: ErrorOptions = {}) {
    super(why, options);
    this.seconds = Math.max(1, seconds);
  }
}
