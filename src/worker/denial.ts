/** Refused requests. */
import { type ErrorCode, type Fault, isTemporary } from "../protocol/errors.ts";

/**
 * The refusal of a request. The message is a sentence without capital and full stop: what is wrong, then what would be
 * right.
 */
export class Denial extends Error {
  /** The HTTP status. */
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

/** Returns the header that says after how many seconds to retry. */
export function retryAfter(seconds: number): Record<string, string> {
  return { "Retry-After": String(seconds) };
}

/** The HTTP status of permanent error codes, if it isn't 400. */
const STATUS: Partial<Record<ErrorCode, number>> = { forbidden: 403, expired: 401, revoked: 401 };

/** Returns the denial for a fault that an object reported. */
export function denialOf({ code, why }: Fault): Denial {
  if (isTemporary(code)) return new Denial(503, code, why, retryAfter(5));
  return new Denial(STATUS[code] ?? 400, code, why);
}
