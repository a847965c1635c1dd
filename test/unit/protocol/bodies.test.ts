import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOfBody, parseMessages } from "../../../src/protocol/bodies.ts";

const LIMITS = { maxLineBytes: 300, linesPerSecond: 5 };

test("a body is its lines, however they end", () => {
  const anyMessage = fc.string({ minLength: 1 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1 }),
      fc.constantFrom("\n", "\r\n"),
      fc.boolean(),
      (messages, end, ended) => {
        expect(linesOfBody(messages.join(end) + (ended ? end : ""))).toEqual(messages);
      },
    ),
  );
});

test("messages are lines that subscribers read, all or none", () => {
  expect(parseMessages("news", ["a", "b!c"], undefined, LIMITS)).toEqual({
    lines: "news!a\nnews!b!c\n",
    count: 2,
  });
  for (const messages of [[], [""], ["a", ""], ["a\nb"], ["x".repeat(301)], Array(6).fill("a")]) {
    expect(parseMessages("news", messages, undefined, LIMITS)).toHaveProperty("why");
  }
});
