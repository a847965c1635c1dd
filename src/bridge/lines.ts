/** Lines of a stream. */

/**
 * Cuts text into lines, without their ends; what follows the last end is none.
 * @param most characters of one that has no end yet: it is given up then, and undefined in its place
 */
export async function* linesOf(
  texts: AsyncIterable<string>,
  most: number,
): AsyncGenerator<string | undefined, void> {
  let rest = "";
  let isGivenUp = false;
  for await (const text of texts) {
    const lines = text.split("\n");
    // Put together only at an end: else many small parts of a long line would be copied again and again.
    rest += lines.shift() ?? "";
    for (const next of lines) {
      if (!isGivenUp) yield rest;
      isGivenUp = false;
      rest = next;
    }
    if (rest.length <= most) continue;
    if (!isGivenUp) yield undefined;
    isGivenUp = true;
    rest = "";
  }
}
