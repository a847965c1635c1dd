/** A request that is refused. */
import { type ErrorCode, type Fault, isTemporary } from "../protocol/errors.ts";

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

/** The status of codes that don't invite a retry, where it isn't 400. */
const STATUS: Partial<Record<ErrorCode, number>> = { forbidden: 403, expired: 401, revoked: 401 };

/** The denial of what an object has refused. */
export function denialOf({ code, why }: Fault): Denial {
  if (isTemporary(code)) return new Denial(503, code, why, retryAfter(5));
  return new Denial(STATUS[code] ?? 400, code, why);
}
