/** Verifying tokens, as objects need it. */
import type { ErrorCode } from "../protocol/errors.ts";
import type { Grants } from "./grants.ts";

/**
 * Returns what a token grants.
 * @throws TokenError if it grants nothing; NoKeys if that can't be told now
 */
export type Verify = (token: string) => Promise<Grants>;

/** A token that grants nothing; the message is a sentence that says why. */
export class TokenError extends Error {
  readonly code: Extract<ErrorCode, "expired" | "forbidden">;

  constructor(code: TokenError["code"], why: string) {
    super(why);
    this.code = code;
  }
}

/** The keys that verify tokens are unavailable; the message is a sentence that says so. */
export class NoKeys extends Error {}
