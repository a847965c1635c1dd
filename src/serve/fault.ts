/** A reason why the server can't run, as a sentence. */
export class ServeFault extends Error {
  /** Whether this machine is at fault, rather than the options. */
  readonly isLocal: boolean;

  constructor(why: string, isLocal = false) {
    super(why);
    this.isLocal = isLocal;
  }
}

/** Returns the system's code of an error, such as `ENOENT`. */
export function codeIn(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Returns what the system said, such as `no space left on device`, without its codes and calls. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z]+: (.+?)(?:, \w+(?: '.*)?)?$/s.exec(message)?.[1] ?? message;
}
