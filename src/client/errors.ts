/** Errors that callers get. */
import type { ErrorCode } from "../protocol/errors.ts";

/** A command that wasn't carried out, or may not have been; the message says why, the code whether a retry helps. */
export class Refused extends Error {
  // A minified class has another name.
  override readonly name = "Refused";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string) {
    super(why);
    this.code = code;
  }
}
