/** Lengths of text as UTF-8. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isLongerThan, utf8Length } from "../../../src/protocol/text.ts";
import { anyLine, bytesOf } from "./texts.ts";

test("utf8Length agrees with the encoder", () => {
  fc.assert(fc.property(anyLine, (text) => utf8Length(text) === bytesOf(text)));
});

test("the outermost surrogates form pairs of four bytes, and lone ones count three", () => {
  const units = [0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000].map((unit) => String.fromCharCode(unit));
  for (const one of units) for (const other of units) expect(utf8Length(one + other)).toBe(bytesOf(one + other));
});

test("isLongerThan agrees with utf8Length", () => {
  fc.assert(
    fc.property(anyLine, fc.nat(1000), fc.integer({ min: -2, max: 2 }), (text, limit, near) => {
      expect(isLongerThan(text, limit)).toBe(bytesOf(text) > limit);
      expect(isLongerThan(text, bytesOf(text) + near)).toBe(near < 0);
    }),
  );
});
