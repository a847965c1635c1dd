/** A request that is refused. */
import type { ErrorCode } from "../protocol/errors.ts";

/** The message is a sentence without its capital and its full stop: what is wrong, then what would be right. */
export class Denial extends Error {
  /** Of HTTP. */
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers: Record<string, string>;
  /** The subject of the client's token, for the log. */
  readonly sub: string | undefined;

  constructor(
    status: number,
    code: ErrorCode,
    why: string,
    headers: Record<string, string> = {},
    sub: string | undefined = undefined,
  ) {
    super(why);
    this.status = status;
    this.code = code;
    this.headers = headers;
    this.sub = sub;
  }
}

/** The header that says in how many seconds to try again. */
export function retryAfter(seconds: number): Record<string, string> {
  return { "Retry-After": String(seconds) };
}
