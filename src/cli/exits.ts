/** How the program ends: its exit codes are an interface. */

export const DONE = 0;
/** The server can be reached, and something is wrong with it. */
export const ILL = 1;
export const USAGE = 2;
/** Everything was done, but for messages that were not to be had. */
export const GAP = 3;
/** The server does not allow it. */
export const REFUSED = 4;
export const TIMED_OUT = 5;
export const UNREACHABLE = 6;

/** Ends the program with a code, and a line on standard error. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number, why: string) {
    super(why);
    this.code = code;
  }
}
