/** Texts that are nearly what the protocol takes, and any others, for property tests. */
import fc from "fast-check";
import { channelFault, DEBUG, nameFault } from "../../../src/protocol/channels.ts";
import { keyFault } from "../../../src/protocol/keys.ts";
import type { From } from "../../../src/protocol/positions.ts";

/** Strings as JavaScript has them: any code units, surrogates without partners among them. */
export const anyUnits = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(0x7f)), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units));

/** Pieces that make a line nearly a command, or nearly a name, far more often than chance would. */
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

/** Channels that may be subscribed to and announced on. */
export const goodName = fc.oneof(nearly, anyUnits).filter((name) => channelFault(name) === undefined);

/** Names of those, and the one that is no channel. */
export const anyName = fc.oneof(goodName, fc.constant(DEBUG)).filter((name) => nameFault(name) === undefined);

/** Messages: whatever is left of a line. */
export const anyMessage = fc
  .oneof(anyLine, fc.constantFrom(" ", "!", "\r", " ! "))
  .map((text) => text.replaceAll("\n", ""))
  .filter((text) => text !== "");

/** Keys of announcements. */
export const goodKey = fc.oneof(nearly, anyUnits).filter((key) => keyFault(key) === undefined);

export const anyPosition = fc.oneof(fc.maxSafeNat(), fc.nat(9), fc.constant(Number.MAX_SAFE_INTEGER));

export const anyFrom: fc.Arbitrary<From> = fc.oneof(
  fc.record({ since: fc.oneof(anyPosition, fc.constant("now" as const)) }),
  fc.record({ last: anyPosition.map((n) => Math.max(n, 1)) }),
);

const encoder = new TextEncoder();

/** Bytes that a text has when it is sent. */
export const bytesOf = (text: string) => encoder.encode(text).length;

/** The rules for names, said another way. */
export function isName(text: string): boolean {
  const bytes = bytesOf(text);
  const fits = bytes >= 1 && bytes <= 255;
  return fits && [...text].every((character) => character !== "!" && !/^[\p{Cc} ]$/u.test(character));
}
