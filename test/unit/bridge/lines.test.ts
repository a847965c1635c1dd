import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOf } from "../../../src/bridge/lines.ts";

/** Returns the lines of a text that is received in parts. */
async function read(parts: string[], most: number): Promise<(string | undefined)[]> {
  async function* receive() {
    yield* parts;
  }
  const lines: (string | undefined)[] = [];
  for await (const some of linesOf(receive(), most)) lines.push(...some);
  return lines;
}

test("lines don't depend on how the text is split, and need an end", async () => {
  const part = fc.string({ unit: fc.constantFrom("a", "b", "\n") });
  await fc.assert(
    fc.asyncProperty(fc.array(part), async (parts) => {
      expect(await read(parts, 1_000_000)).toEqual(parts.join("").split("\n").slice(0, -1));
    }),
  );
});

test("a long incomplete line is dropped once, and later lines are read", async () => {
  expect(await read(["a\nbb", "bb", "bb", "bbbbbb", "bbbbbb", "bbb\nc\n"], 5)).toEqual(["a", undefined, "c"]);
});
