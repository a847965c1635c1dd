/** A request that is not granted. */

export class Denial extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  /**
   * @param status of HTTP
   * @param why in words that make a sentence, without its capital and its full stop
   */
  constructor(status: number, why: string, headers: Record<string, string> = {}) {
    super(why);
    this.status = status;
    this.headers = headers;
  }
}

/** The header that says in how many seconds it may be tried again. */
export function retryAfter(seconds: number): Record<string, string> {
  return { "Retry-After": String(seconds) };
}
