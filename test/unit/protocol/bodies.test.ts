import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOfBody, parseMessages } from "../../../src/protocol/bodies.ts";

const LIMITS = { maxLineBytes: 300, linesPerSecond: 5, historyBytes: 400 };

test("a body is split into lines that end in LF or CRLF", () => {
  const anyMessage = fc.string({ minLength: 1 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1 }),
      fc.constantFrom("\n", "\r\n"),
      fc.boolean(),
      (messages, end, ended) => {
        expect(linesOfBody(messages.join(end) + (ended ? end : ""), messages.length)).toEqual(messages);
      },
    ),
  );
});

test("the result shows when a body has too many lines", () => {
  const lines = fc.array(fc.constantFrom("a", ""), { maxLength: 12 });
  fc.assert(
    fc.property(lines, fc.integer({ min: 1, max: 6 }), (parts, most) => {
      const body = parts.join("\n");
      const all = linesOfBody(body, Number.MAX_SAFE_INTEGER - 2);
      const some = linesOfBody(body, most);
      expect(some.length).toBeLessThanOrEqual(most + 2);
      if (all.length <= most) expect(some).toEqual(all);
      else expect(some.length).toBeGreaterThan(most);
    }),
  );
  expect(linesOfBody("\n".repeat(1_000_000), 10)).toHaveLength(11);
});

test("messages are formatted for subscribers, all or none", () => {
  expect(parseMessages("news", ["a", "b!c"], undefined, LIMITS)).toEqual({
    lines: "news!a\nnews!b!c\n",
    count: 2,
  });
  for (const messages of [[], [""], ["a", ""], ["a\nb"], ["x".repeat(301)], Array(6).fill("a")]) {
    expect(parseMessages("news", messages, undefined, LIMITS)).toHaveProperty("why");
  }
});

test("the channel and the key have to be valid", () => {
  expect(parseMessages("", ["a"], undefined, LIMITS)).toMatchObject({ code: "invalid" });
  expect(parseMessages("news", ["a"], "a b", LIMITS)).toMatchObject({ code: "invalid" });
});

test("messages with a key fit into the history, so that repeats can be detected", () => {
  const messages = ["x".repeat(200), "x".repeat(160)];
  const ofKey = (key: string | undefined) => parseMessages("news", messages, key, LIMITS);
  expect(ofKey(undefined)).toHaveProperty("count", 2);
  // 372 characters as lines, and 16 characters of overhead for the key.
  expect(ofKey("k".repeat(12))).toHaveProperty("count", 2);
  expect(ofKey("k".repeat(13))).toMatchObject({ code: "limit" });
});
