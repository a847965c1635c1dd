/** Tells guests from the other clients that a web page can make a browser connect with. */

import { linesOf } from "./lines.ts";

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
 * Cuts what a guest sends into lines, as `linesOf` does.
 * @throws NotAGuest before it returns any command, if the connection begins with something else
 */
export async function* guestLines(
  texts: AsyncIterable<string>,
  most: number,
  hasRoom: (length: number) => boolean,
): AsyncGenerator<(string | undefined)[], void> {
  let isFirst = true;
  for await (const lines of linesOf(opening(texts), most, hasRoom)) {
    const first = isFirst ? lines.findIndex((line) => line !== "" && line !== "\r") : -1;
    if (first >= 0) {
      checkFirst(lines[first]);
      isFirst = false;
    }
    yield lines;
  }
}

/** Checks the first character, as clients of other protocols may never complete a line. */
async function* opening(texts: AsyncIterable<string>): AsyncGenerator<string, void> {
  let isOpen = false;
  for await (const text of texts) {
    if (!isOpen && /[^\r\n]/.test(text)) {
      if (!COMMAND.test(text)) throw new NotAGuest();
      isOpen = true;
    }
    yield text;
  }
}

/** @param line undefined if it is too long; such a line may be a request */
function checkFirst(line: string | undefined): void {
  if (line === undefined || REQUEST.test(line)) throw new NotAGuest();
}
