/** Valid channel names. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { channelFault, MAX_NAME_BYTES, nameFault } from "../../../src/protocol/channels.ts";
import { anyLine, bytesOf, isName } from "./texts.ts";

describe("names", () => {
  test("have 1 to 255 bytes, no '!', no space, no control character", { tags: ["channel-syntax"] }, () => {
    fc.assert(fc.property(anyLine, (name) => (nameFault(name) === undefined) === isName(name)));
  });

  test("all characters except '!', spaces and control characters are allowed", () => {
    const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit));
    expect(units.filter((unit) => (nameFault(unit) === undefined) !== isName(unit))).toEqual([]);
  });

  test.each(["n", "é", "€", "😀"])("end at 255 bytes of %s", (character) => {
    const most = Math.floor(MAX_NAME_BYTES / bytesOf(character));
    expect(nameFault(character.repeat(most))).toBeUndefined();
    expect(nameFault(character.repeat(most + 1))).toMatch(/255/);
  });

  test("'debug' is a valid name, but reserved", () => {
    expect(nameFault("debug")).toBeUndefined();
    expect(channelFault("debug")).toMatch(/debug/);
    fc.assert(fc.property(anyLine, (name) => name === "debug" || channelFault(name) === nameFault(name)));
  });
});
