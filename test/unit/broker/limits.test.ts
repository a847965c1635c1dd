/** What may be set of the limits, and what they are if nothing is. */
import { expect, test } from "vitest";
import { readLimits, SettingError } from "../../../src/broker/limits.ts";

const settings = [
  { name: "SOCKETS_PER_OBJECT", least: 1, most: 32_768 },
  { name: "LINKS_PER_OBJECT", least: 1, most: 10_000 },
  { name: "MAX_LINE_BYTES", least: 300, most: 1_000_000 },
  { name: "MAX_CHANNELS_PER_CONNECTION", least: 2, most: 4_000 },
  { name: "MAX_BUFFERED_BYTES", least: 1_000_000, most: 32_000_000 },
  { name: "LINES_PER_SECOND", least: 1, most: 1_000_000 },
  { name: "CLIENT_LIMIT", least: 0, most: 1_000_000_000 },
];

test.each(settings)("$name has a least and a most", ({ name, least, most }) => {
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

test.each(settings)("$name has a default", ({ name }) => {
  expect(readLimits({ [name]: "" })).toEqual(readLimits({}));
  expect(readLimits({ [name]: undefined })).toEqual(readLimits({}));
});
