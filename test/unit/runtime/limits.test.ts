/** What may be set of the limits, and what they are if nothing is. */
import { expect, test } from "vitest";
import { readLimits, retainsHistory, SettingError } from "../../../src/runtime/limits.ts";
import { ranges } from "../object/ranges.ts";

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

/** Which of some channels messages are kept of. */
function kept(variables: Record<string, string>, ...channels: string[]): string[] {
  const limits = readLimits(variables);
  return channels.filter((channel) => retainsHistory(limits, channel));
}

test("history is kept of all channels for two minutes if nothing is set", () => {
  expect(readLimits({})).toMatchObject({
    historySeconds: 120,
    historyBytes: 262_144,
    historyChannels: ["*"],
  });
  expect(readLimits({ HISTORY_CHANNELS: "" })).toEqual(readLimits({}));
  expect(kept({}, "all", "x", "*")).toEqual(["all", "x", "*"]);
});

test("history is kept of channels that are named, or begin as is said", () => {
  const channels = ["news", "news/", "news/today", "newsreel", "sport", "all", "a*b", "NEWS"];
  for (const list of ["news/*, sport a*b", "news/*,sport,a*b", "a*b\nsport ,news/*"]) {
    expect(kept({ HISTORY_CHANNELS: list }, ...channels)).toEqual(["news/", "news/today", "sport", "a*b"]);
  }
});

test("no history is kept where it is kept for no time", () => {
  expect(kept({ HISTORY_SECONDS: "0" }, "all", "x")).toEqual([]);
  expect(kept({ HISTORY_SECONDS: "0", HISTORY_CHANNELS: "x" }, "x")).toEqual([]);
});
