/** What may be set of the limits, and what they are if nothing is. */
import { expect, test } from "vitest";
import { readLimits, SettingError } from "../../../src/broker/limits.ts";
import { ranges } from "./ranges.ts";

test.each(ranges)("$name has a least and a most", ({ name, least, most }) => {
  for (const value of [least, most, String(least), String(most)]) {
    expect(Object.values(readLimits({ [name]: value }))).toContain(Number(value));
  }
  for (const value of [least - 1, most + 1, least + 0.5, -1, Number.NaN, Infinity, "many", " ", null]) {
    for (const given of [value, String(value)]) {
      const read = () => readLimits({ [name]: given });
      expect(read).toThrow(SettingError);
      expect(read).toThrow(new RegExp(`^${name} must be .*${least}.*${most}`));
    }
  }
});

test.each(ranges)("$name has a default", ({ name }) => {
  expect(readLimits({ [name]: "" })).toEqual(readLimits({}));
  expect(readLimits({ [name]: undefined })).toEqual(readLimits({}));
});
