/** Lines of a stream. */

/**
 * Cuts text into lines, without their ends, as it comes; what follows the last end is none.
 * @param most characters of a line that has no end yet: a longer one is dropped, and undefined returned in its place
 * @param hasRoom called with the length of that line, also when it becomes 0; false drops the line, too
 */
export async function* linesOf(
  texts: AsyncIterable<string>,
  most: number,
  hasRoom: (length: number) => boolean = () => true,
): AsyncGenerator<(string | undefined)[], void> {
  let rest = "";
  let isGivenUp = false;
  for await (const text of texts) {
    const parts = text.split("\n");
    // Put together only at an end: else many small parts of a long line would be copied again and again.
    parts[0] = rest + parts[0];
    rest = parts.pop() ?? "";
    const lines: (string | undefined)[] = isGivenUp ? parts.slice(1) : parts;
    if (parts.length > 0) isGivenUp = false;
    if (isGivenUp) rest = "";
    if (!hasRoom(rest.length) || rest.length > most) {
      lines.push(undefined);
      isGivenUp = true;
      rest = "";
      hasRoom(0);
    }
    yield lines;
  }
}
