/** Near-valid and arbitrary texts for property tests. */
import fc from "fast-check";
import { channelFault, DEBUG, nameFault } from "../../../src/protocol/channels.ts";
import { keyFault } from "../../../src/protocol/keys.ts";
import type { From } from "../../../src/protocol/positions.ts";

/** Any JavaScript strings, including unpaired surrogates. */
export const anyUnits = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(0x7f)), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units));

/** Fragments from which near-valid commands and names arise far more often than from random text. */
const pieces = fc.constantFrom(
  ..."announce once subscribe unsubscribe ping info keepalive token debug all since last now 0 7 __proto__ x ! é € 😀".split(
    " ",
  ),
  ..." \r\t\u0000\u001f\u007f\u0080\u009f\u00a0\ud83d".split(""),
  "n".repeat(84),
  "é".repeat(42),
);
const nearly = fc.array(pieces, { maxLength: 8 }).map((some) => some.join(""));

export const anyLine = fc.oneof(nearly, anyUnits, fc.string({ unit: "binary" }));

/** Valid channels. */
export const goodName = fc.oneof(nearly, anyUnits).filter((name) => channelFault(name) === undefined);

/** Valid channels, and `debug`. */
export const anyName = fc.oneof(goodName, fc.constant(DEBUG)).filter((name) => nameFault(name) === undefined);

/** Messages: any non-empty rest of a line. */
export const anyMessage = fc
  .oneof(anyLine, fc.constantFrom(" ", "!", "\r", " ! "))
  .map((text) => text.replaceAll("\n", ""))
  .filter((text) => text !== "");

/** Valid keys. */
export const goodKey = fc.oneof(nearly, anyUnits).filter((key) => keyFault(key) === undefined);

export const anyPosition = fc.oneof(fc.maxSafeNat(), fc.nat(9), fc.constant(Number.MAX_SAFE_INTEGER));

export const anyFrom: fc.Arbitrary<From> = fc.oneof(
  fc.record({ since: fc.oneof(anyPosition, fc.constant("now" as const)) }),
  fc.record({ last: anyPosition.map((n) => Math.max(n, 1)) }),
);

const encoder = new TextEncoder();

/** Returns the UTF-8 length of a text. */
export const bytesOf = (text: string) => encoder.encode(text).length;

/** The rules for names in another formulation. */
export function isName(text: string): boolean {
  const bytes = bytesOf(text);
  const fits = bytes >= 1 && bytes <= 255;
  return fits && [...text].every((character) => character !== "!" && !/^[\p{Cc} ]$/u.test(character));
}
