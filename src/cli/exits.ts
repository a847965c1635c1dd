/** Exit codes, which are part of the program's interface. */

export const DONE = 0;
/** The doctor found something bad. */
export const UNHEALTHY = 1;
export const USAGE = 2;
/** Messages have expired or were lost. */
export const GAP = 3;
/** The server refused the command. */
export const REFUSED = 4;
export const TIMED_OUT = 5;
export const UNREACHABLE = 6;
/** This machine failed: a file or standard output can't be read or written, or messages weren't acknowledged. */
export const LOCAL = 7;

/** A command of `--exec`, or Wrangler, failed; its own code, which could be any of these, is on standard error. */
export const FAILED = 8;

/** A fault of the program itself: an error that no command expects. */
export const UNEXPECTED = 9;

/** The program was interrupted with work left; the codes are the same that shells report. */
export const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** An error that ends the program with an exit code and a line on standard error. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number, why: string) {
    super(why);
    this.code = code;
  }
}

/** Returns the system's code of an error, such as `ENOENT`; undefined if it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
