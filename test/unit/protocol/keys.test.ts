/** Valid keys. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { keyFault } from "../../../src/protocol/keys.ts";
import { anyLine, bytesOf } from "./texts.ts";

/** The rules in another formulation. */
function isKey(text: string): boolean {
  const bytes = bytesOf(text);
  return bytes >= 1 && bytes <= 64 && !/[\p{Cc} ]/u.test(text);
}

test("keys have 1 to 64 bytes, no space, no control character", { tags: ["key-syntax", "key-of-once"] }, () => {
  fc.assert(fc.property(anyLine, (key) => (keyFault(key) === undefined) === isKey(key)));
  const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit));
  expect(units.filter((unit) => (keyFault(unit) === undefined) !== isKey(unit))).toEqual([]);
});

test.each(["n", "é", "😀"])("keys end at 64 bytes of %s", (character) => {
  const most = 64 / bytesOf(character);
  expect(keyFault(character.repeat(most))).toBeUndefined();
  expect(keyFault(character.repeat(most + 1))).toMatch(/64/);
});
