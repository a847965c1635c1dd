/** Reads clients' lines, and detects other protocols, which a web page could make a browser speak. */

import { linesOf } from "./lines.ts";

/** The first line of an HTTP request. A page can choose the method, as in `announce /news HTTP/1.1`. */
const REQUEST = /^\S+ \S+ HTTP\/\d(\.\d)?\r?$/;

/**
 * Blank lines, then the first character of a command: lower case or a sign. TLS, TURN and SOCKS begin with control
 * characters or other bytes, and HTTP methods with capitals.
 */
const COMMAND = /^[\r\n]*[!-@[-~]/;

/** The connection speaks another protocol, so it has to be closed before anything is executed. */
export class WrongProtocol extends Error {
  constructor() {
    super("the connection begins like HTTP or TLS; begin with a command in lower case");
  }
}

/**
 * Splits a client's text into lines, as `linesOf` does.
 * @throws WrongProtocol before it returns any command, if the connection begins with something else
 */
export async function* clientLines(
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

/** Checks the first character, because clients of other protocols may never complete a line. */
async function* opening(texts: AsyncIterable<string>): AsyncGenerator<string, void> {
  let isOpen = false;
  for await (const text of texts) {
    if (!isOpen && /[^\r\n]/.test(text)) {
      if (!COMMAND.test(text)) throw new WrongProtocol();
      isOpen = true;
    }
    yield text;
  }
}

/** @param line undefined if it is too long, which may be a request */
function checkFirst(line: string | undefined): void {
  if (line === undefined || REQUEST.test(line)) throw new WrongProtocol();
}
