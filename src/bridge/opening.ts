/** Tells guests from the other clients that a web page can make a browser connect with. */

/** The line with which HTTP requests begin. Pages choose the method themselves: `announce /news HTTP/1.1`. */
const REQUEST = /^\S+ \S+ HTTP\/\d(\.\d)?\r?$/;

/** Blank lines, then the first character of a command: ASCII, as TLS, TURN and SOCKS send control characters, and lower case or a sign. */
const COMMAND = /^[\r\n]*[!-@[-~]/;

/** A connection that isn't a guest's, and has to be dropped before anything is executed. */
export class NotAGuest extends Error {
  constructor() {
    super("a connection begins with a command in lower case, not with HTTP or TLS");
  }
}

/**
 * Passes text through, from the first byte on.
 * @throws NotAGuest if it can't begin with a command, even before the first line is complete
 */
export async function* opening(texts: AsyncIterable<string>): AsyncGenerator<string, void> {
  let isOpen = false;
  for await (const text of texts) {
    if (!isOpen && /[^\r\n]/.test(text)) {
      if (!COMMAND.test(text)) throw new NotAGuest();
      isOpen = true;
    }
    yield text;
  }
}

/**
 * Checks the first line that isn't blank.
 * @param line undefined if it is too long; such a line may be a request
 * @throws NotAGuest if it begins an HTTP request
 */
export function checkFirst(line: string | undefined): void {
  if (line === undefined || REQUEST.test(line)) throw new NotAGuest();
}
