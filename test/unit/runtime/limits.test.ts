/** Ranges and defaults of the settings. */
import { expect, test } from "vitest";
import { hasHistory, readLimits, SettingError } from "../../../src/runtime/limits.ts";
import { ranges } from "../object/ranges.ts";

test.each(ranges)("$name has a range", ({ name, least, most }) => {
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

/** Returns those of some channels that have history. */
function withHistory(variables: Record<string, string>, ...channels: string[]): string[] {
  const limits = readLimits(variables);
  return channels.filter((channel) => hasHistory(limits, channel));
}

test("by default, all channels have two minutes of history", () => {
  expect(readLimits({})).toMatchObject({
    historySeconds: 120,
    historyBytes: 262_144,
    historyChannels: ["*"],
  });
  expect(readLimits({ HISTORY_CHANNELS: "" })).toEqual(readLimits({}));
  expect(withHistory({}, "all", "x", "*")).toEqual(["all", "x", "*"]);
});

test("channels have history if HISTORY_CHANNELS has their name or a prefix of it", () => {
  const channels = ["news", "news/", "news/today", "newsreel", "sport", "all", "a*b", "NEWS"];
  for (const list of ["news/*, sport a*b", "news/*,sport,a*b", "a*b\nsport ,news/*"]) {
    expect(withHistory({ HISTORY_CHANNELS: list }, ...channels)).toEqual(["news/", "news/today", "sport", "a*b"]);
  }
});

test("presence channels always have history, unless HISTORY_SECONDS is 0", () => {
  const channels = ["presence/news", "presence/", "presence", "news"];
  expect(withHistory({ HISTORY_CHANNELS: "x" }, ...channels)).toEqual(["presence/news", "presence/"]);
  expect(withHistory({ HISTORY_SECONDS: "0" }, ...channels)).toEqual([]);
});

test("by default, a channel has up to 1,000 members, who have 15 seconds to return", () => {
  expect(readLimits({})).toMatchObject({ presenceGraceSeconds: 15, membersPerChannel: 1_000 });
});

test("no channel has history if HISTORY_SECONDS is 0", () => {
  expect(withHistory({ HISTORY_SECONDS: "0" }, "all", "x")).toEqual([]);
  expect(withHistory({ HISTORY_SECONDS: "0", HISTORY_CHANNELS: "x" }, "x")).toEqual([]);
});
