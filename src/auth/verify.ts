/** What the heart needs of tokens: that somebody reads them. */
import type { Grants } from "./grants.ts";

/**
 * Reads what a token grants.
 * @throws TokenError if it is not good; NoKeys if nobody can tell
 */
export type Verify = (token: string) => Promise<Grants>;

/** A token that is not good; the message says why, as the end of a sentence about it. */
export class TokenError extends Error {}

/** The keys to check tokens with are not to be had. */
export class NoKeys extends Error {}
