/** Lines of a stream. */

/**
 * Cuts text into lines, without their ends, as it comes; what follows the last end is none.
 * @param most characters of one that has no end yet: it is given up then, and undefined in its place
 */
export async function* linesOf(
  texts: AsyncIterable<string>,
  most: number,
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
    if (rest.length > most) {
      if (!isGivenUp) lines.push(undefined);
      isGivenUp = true;
      rest = "";
    }
    yield lines;
  }
}
