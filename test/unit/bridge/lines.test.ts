import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOf } from "../../../src/bridge/lines.ts";

/** What is read of text that comes in parts. */
async function read(parts: string[], most: number): Promise<(string | undefined)[]> {
  async function* come() {
    yield* parts;
  }
  const lines: (string | undefined)[] = [];
  for await (const some of linesOf(come(), most)) lines.push(...some);
  return lines;
}

test("lines are the same however they are cut, and what has no end is none", async () => {
  const part = fc.string({ unit: fc.constantFrom("a", "b", "\n") });
  await fc.assert(
    fc.asyncProperty(fc.array(part), async (parts) => {
      expect(await read(parts, 1_000_000)).toEqual(parts.join("").split("\n").slice(0, -1));
    }),
  );
});

test("a line that has no end is given up once, and what comes after it is read", async () => {
  expect(await read(["a\nbb", "bb", "bb", "bbbbbb", "bbbbbb", "bbb\nc\n"], 5)).toEqual(["a", undefined, "c"]);
});
