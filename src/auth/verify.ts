/** Verifying tokens, as objects need it. */
import type { ErrorCode } from "../protocol/errors.ts";
import type { Grants } from "./grants.ts";

/** Checks what tokens grant. */
export interface Guard {
  /**
   * Returns what a token grants.
   * @throws TokenError if it grants nothing; NoKeys if that can't be told now
   */
  verify(token: string): Promise<Grants>;
  /** Fingerprints of the keys whose tokens are valid. */
  readonly keys: ReadonlySet<string>;
}

/** A token that grants nothing; the message is a sentence that says why. */
export class TokenError extends Error {
  readonly code: Extract<ErrorCode, "expired" | "forbidden">;
  /** Whose token it is, if its signature is right. */
  readonly sub: string | undefined;

  constructor(code: TokenError["code"], why: string, sub: string | undefined = undefined) {
    super(why);
    this.code = code;
    this.sub = sub;
  }
}

/** The keys that verify tokens are unavailable; the message is a sentence that says so. */
export class NoKeys extends Error {
  /** In how many seconds it makes sense to try again. */
  readonly seconds: number;

  constructor(why: string, seconds = 30, options: ErrorOptions = {}) {
    super(why, options);
    this.seconds = Math.max(1, seconds);
  }
}
