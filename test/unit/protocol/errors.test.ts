/** Errors: formatted for clients, and parsed by them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CLOSINGS } from "../../../src/protocol/close-codes.ts";
import {
  clauseOf,
  ERROR_CODES,
  type Fault,
  faultIn,
  formatReason,
  formatRefusal,
  isErrorCode,
  isTemporary,
  parseReason,
  parseRefusal,
  type Refusal,
  sentenceOf,
} from "../../../src/protocol/errors.ts";
import { anyUnits, bytesOf, goodKey, goodName } from "./texts.ts";

const code = fc.constantFrom(...ERROR_CODES);
const why = fc.oneof(anyUnits, fc.constantFrom("a: b", ": ", "x y: z", "invalid ping: nested", "a\nb"));
const argument = fc.oneof(goodName, goodKey, fc.constantFrom(":", "a:", ":a", "a:b", "::", "\u00a0", "\u3000"));

describe("a refusal", () => {
  test("is parsed back, with any argument and sentence", () => {
    const command = fc.stringMatching(/^[a-z]{1,16}$/);
    const refusal: fc.Arbitrary<Refusal> = fc.oneof(
      fc.record({ code, command, why }),
      fc.record({ code, command, argument, why }),
    );
    fc.assert(
      fc.property(refusal, (original) => {
        expect(parseRefusal(formatRefusal(original))).toEqual(original);
      }),
    );
  });

  test("names its code, its command and its argument", () => {
    const refusal: Refusal = { code: "forbidden", command: "subscribe", argument: "news", why: "no grant" };
    expect(formatRefusal(refusal)).toBe("forbidden subscribe news: no grant");
    expect(formatRefusal({ ...refusal, argument: undefined })).toBe("forbidden subscribe: no grant");
  });

  test("with an unknown code is final", () => {
    expect(parseRefusal("quota once k: too much: much")).toEqual({
      code: "invalid",
      command: "once",
      argument: "k",
      why: "too much: much",
    });
  });

  test.each([
    "",
    "invalid",
    "invalid ping",
    "invalid ping:",
    "invalid: why",
    "invalid a b c: why",
    "Invalid ping: why",
  ])("isn't %j", (text) => expect(parseRefusal(text)).toBeUndefined());
});

describe("the reason of a close frame", () => {
  const characters = fc.oneof(
    anyUnits,
    fc.string({ unit: fc.constantFrom("a", "é", "€", "😀"), minLength: 20, maxLength: 140 }),
  );

  test("is parsed back, cut between characters if it is too long", () => {
    fc.assert(
      fc.property(code, characters, (known, sentence) => {
        const reason = formatReason({ code: known, why: sentence });
        const bytes = bytesOf(reason);
        expect(bytes).toBeLessThanOrEqual(123);
        const read = parseReason(reason);
        expect(read?.code).toBe(known);
        const sent = read?.why ?? "";
        expect(sentence.startsWith(sent)).toBe(true);
        if (sent === sentence) return;
        // The next code point doesn't fit.
        const [next = ""] = sentence.slice(sent.length);
        expect(bytes + bytesOf(next)).toBeGreaterThan(123);
        if (sentence.isWellFormed()) expect(sent.isWellFormed()).toBe(true);
      }),
    );
  });

  test.each(["x", "é", "€", "😀"])("isn't cut within %s", (character) => {
    for (let shift = 0; shift < 8; shift++) {
      const reason = formatReason({ code: "limit", why: "a".repeat(shift) + character.repeat(200) });
      expect(reason.isWellFormed()).toBe(true);
      expect(bytesOf(reason)).toBeGreaterThan(123 - bytesOf(character));
      expect(bytesOf(reason)).toBeLessThanOrEqual(123);
    }
  });

  test("without a code counts as unavailable", () => {
    for (const reason of ["", "going away", "done: bye", "unavailable", "unavailable:x"]) {
      expect(parseReason(reason)).toBeUndefined();
      expect(faultIn(reason)).toEqual({ code: "unavailable", why: reason });
    }
    const fault: Fault = { code: "expired", why: "your token has expired: connect again" };
    expect(faultIn(formatReason(fault))).toEqual(fault);
  });

  test("has a known code for every cause", () => {
    for (const { code: used, status } of Object.values(CLOSINGS)) {
      expect(isErrorCode(used)).toBe(true);
      expect(status === 1013).toBe(used === "unavailable");
    }
  });
});

test("only errors that invite a retry are temporary", () => {
  expect(ERROR_CODES.filter(isTemporary)).toEqual(["rate", "unavailable"]);
});

test("clauses become sentences, and back", () => {
  expect(sentenceOf("it is too late")).toBe("It is too late.");
  expect(sentenceOf("'last' takes a number")).toBe("'last' takes a number.");
  for (const clause of ["it is too late", "'last' takes a number", "a.b"]) {
    expect(clauseOf(sentenceOf(clause))).toBe(clause);
  }
});
