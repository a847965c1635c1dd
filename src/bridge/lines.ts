/** Lines of a text stream. */

/**
 * Splits text into lines, without their ends. Text after the last line end isn't a line.
 * @param most characters of an incomplete line; a longer one is dropped, and yields undefined
 * @param hasRoom called with the length of the incomplete line whenever it changes; returns false to drop the line
 */
export async function* linesOf(
  texts: AsyncIterable<string>,
  most: number,
  hasRoom: (length: number) => boolean = () => true,
): AsyncGenerator<(string | undefined)[], void> {
  let rest = "";
  let isDropping = false;
  for await (const text of texts) {
    const parts = text.split("\n");
    // Joined only at a line end; otherwise small pieces of a long line would be copied again and again.
    parts[0] = rest + parts[0];
    rest = parts.pop() ?? "";
    const lines: (string | undefined)[] = isDropping ? parts.slice(1) : parts;
    if (parts.length > 0) isDropping = false;
    if (isDropping) rest = "";
    if (!hasRoom(rest.length) || rest.length > most) {
      lines.push(undefined);
      isDropping = true;
      rest = "";
      hasRoom(0);
    }
    yield lines;
  }
}
