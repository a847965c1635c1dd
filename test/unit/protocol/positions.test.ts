/** Positions, and the starting points of subscriptions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type From, formatFrom, parseFrom, parseFromWords, parsePosition } from "../../../src/protocol/positions.ts";
import { anyFrom, anyLine, anyPosition } from "./texts.ts";

const MOST = Number.MAX_SAFE_INTEGER;
const invalid = (why: RegExp) => ({ kind: "invalid", why: expect.stringMatching(why) });

/** Generates near-numbers far more often than plain random text would. */
const nearlyNumber = fc
  .array(fc.constantFrom("0", "1", "9", "9007199254740991", "-", "+", ".", "e", "x", " ", "٣"), {
    maxLength: 4,
  })
  .map((pieces) => pieces.join(""));
const anyWord = fc.oneof(nearlyNumber, anyLine, fc.constantFrom("now", "NOW", ""));

describe("a position", () => {
  test("is parsed back", () => {
    fc.assert(fc.property(anyPosition, (position) => parsePosition(String(position)) === position));
  });

  test("is decimal digits of a safe integer, leading zeros allowed", { tags: ["position-range"] }, () => {
    fc.assert(
      fc.property(anyWord, (word) => {
        const isPosition = /^[0-9]+$/.test(word) && BigInt(word) <= BigInt(MOST);
        expect(parsePosition(word)).toBe(isPosition ? Number(word) : undefined);
      }),
    );
    expect(parsePosition("0007")).toBe(7);
    expect(parsePosition("9".repeat(10_000))).toBeUndefined();
  });
});

describe("the start of a subscription", () => {
  test("is parsed back from a command and from a URL", () => {
    fc.assert(
      fc.property(anyFrom, (from) => {
        const [how = "", word = "", ...more] = formatFrom(from).split(" ");
        expect(more).toEqual([]);
        expect(parseFromWords(how, word)).toEqual(from);
        expect(parseFrom(how === "since" ? word : null, how === "last" ? word : null)).toEqual(from);
      }),
    );
  });

  test("is parsed alike in both", () => {
    fc.assert(
      fc.property(anyWord, (word) => {
        expect(parseFrom(word, null)).toEqual(parseFromWords("since", word));
        expect(parseFrom(null, word)).toEqual(parseFromWords("last", word));
      }),
    );
  });

  test("is undefined for other words, and for URLs without parameters", () => {
    fc.assert(
      fc.property(anyWord, anyWord, (how, word) => {
        fc.pre(how !== "since" && how !== "last");
        expect(parseFromWords(how, word)).toBeUndefined();
      }),
    );
    expect(parseFrom(null, null)).toBeUndefined();
  });

  test.each<[since: string | null, last: string | null, from: From | object]>([
    ["0", null, { since: 0 }],
    [`${MOST}`, null, { since: MOST }],
    ["now", null, { since: "now" }],
    [null, "1", { last: 1 }],
    [null, `${MOST}`, { last: MOST }],
    ["", null, invalid(/'since' takes .* from 0 to 9007199254740991, or 'now'$/)],
    ["-1", null, invalid(/'since' takes/)],
    ["Now", null, invalid(/'since' takes/)],
    [`${MOST + 1}`, null, invalid(/'since' takes/)],
    [null, "", invalid(/'last' takes .* from 1 to 9007199254740991$/)],
    [null, "0", invalid(/'last' takes/)],
    [null, "now", invalid(/'last' takes/)],
    [null, "1.5", invalid(/'last' takes/)],
    ["1", "1", invalid(/only one of/)],
    ["", "", invalid(/only one of/)],
  ])("?since=%s, ?last=%s", (since, last, from) => {
    expect(parseFrom(since, last)).toEqual(from);
  });
});
