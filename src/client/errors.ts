/** The error class of the library. */
import type { ErrorCode } from "../protocol/errors.ts";

/** A refused command, or one whose outcome is unknown. `code` shows whether a retry helps, `message` says why. */
export class Refused extends Error {
  // Minifiers rename classes.
  override readonly name = "Refused";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string) {
    super(why);
    this.code = code;
  }
}
