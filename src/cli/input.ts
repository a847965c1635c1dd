/** Messages in a stream of bytes, each ended by a separator. */
import { Exit, USAGE } from "./exits.ts";

/** Most bytes of a message; no server accepts longer ones. */
const MAX_BYTES = 1_000_000;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface InputLine {
  /** Counted from 1, including empty lines. */
  number: number;
  text: string;
}

/**
 * Reads messages, and skips empty ones. The last one needs no separator. Lines may end in `\r\n`.
 * @param separator the byte that ends a message: 10 (line feed) or 0
 * @throws Exit with the number of the first message that is too long, isn't UTF-8, or has a line break
 */
export async function* messagesIn(input: AsyncIterable<Uint8Array>, separator: 0 | 10): AsyncGenerator<InputLine> {
  let number = 0;
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array) => {
    parts.push(part);
    size += part.length;
    if (size > MAX_BYTES) throw new Exit(USAGE, `line ${number + 1} has more than ${MAX_BYTES} bytes`);
  };
  const take = () => {
    number += 1;
    const text = textOf(Buffer.concat(parts), number, separator);
    parts = [];
    size = 0;
    return text;
  };
  for await (const bytes of input) {
    let start = 0;
    for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, start)) {
      add(bytes.subarray(start, end));
      start = end + 1;
      const text = take();
      if (text !== "") yield { number, text };
    }
    if (start < bytes.length) add(bytes.subarray(start));
  }
  const text = size === 0 ? "" : take();
  if (text !== "") yield { number, text };
}

function textOf(bytes: Uint8Array, number: number, separator: 0 | 10): string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Exit(USAGE, `line ${number} isn't UTF-8; messages are text`);
  }
  if (separator === 10) return text.replace(/\r$/, "");
  if (text.includes("\n")) throw new Exit(USAGE, `message ${number} has a line break; a message is one line`);
  return text;
}
