/** How the program ends: its exit codes are an interface. */

export const DONE = 0;
/** The server can be reached, and something is wrong with it. */
export const ILL = 1;
export const USAGE = 2;
/** Everything was done, except for messages that have expired. */
export const GAP = 3;
/** The server does not allow it. */
export const REFUSED = 4;
export const TIMED_OUT = 5;
export const UNREACHABLE = 6;
/** This machine failed: a file or standard output can't be read or written, or messages weren't acknowledged. */
export const LOCAL = 7;

/** A command of `--exec` has failed: its own code could be any of these, so the line on standard error says it. */
export const FAILED = 8;

/** Codes of a program that was interrupted with work left, as shells report them. */
export const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** Ends the program with a code, and a line on standard error. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number, why: string) {
    super(why);
    this.code = code;
  }
}

/** Returns the system's code of an error, as `ENOENT`; undefined if it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** Returns what an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
