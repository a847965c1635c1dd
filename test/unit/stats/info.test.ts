/** The reply to `info`, line by line. */
import { expect, test } from "vitest";
import { parseReply } from "../../../src/protocol/replies.ts";
import type { ServiceFigures } from "../../../src/runtime/calls.ts";
import { formatInfo } from "../../../src/stats/info.ts";
import { noTotals } from "../../../src/stats/totals.ts";

const SINCE = 1_795_438_800_000;

/** All figures differ, so that the test notices if they are mixed up. */
const figures: ServiceFigures = {
  since: SINCE,
  peak: 1,
  connections: 2,
  channels: 3,
  subscriptions: 4,
  requested: 5,
  objects: 6,
  unreachable: 7,
  totals: {
    ...noTotals(),
    ...{ rejected: 11, connections: 12, announcements: 13, messages: 14 },
    ...{ subscribes: 15, unsubscribes: 16, pings: 17 },
  },
};

/** Parses a reply as clients do. */
function read(info: string): unknown[] {
  return info.split("\n").slice(0, -1).map(parseReply);
}

test("clients can parse every line", () => {
  const rows: [key: string, value: string][] = [
    ["uptime", "0d 0h 0m 0s"],
    ["client-limit", "8"],
    ["limit rejected connections", "11"],
    ["rlimits", "Soft=32768 Hard=32768"],
    ["max connections", "1"],
    ["current connections", "2"],
    ["current channels", "3"],
    ["current subscriptions", "4"],
    ["user-requested subscriptions", "5"],
    ["total connections", "12"],
    ["total announcements", "13"],
    ["total messages", "14"],
    ["total subscribes", "15"],
    ["total unsubscribes", "16"],
    ["total pings", "17"],
    ["objects", "6"],
    ["unreachable objects", "7"],
  ];
  expect(read(formatInfo(figures, 8, SINCE))).toEqual(rows.map(([key, value]) => ({ kind: "figure", key, value })));
});

test.each([
  { after: 999, uptime: "0d 0h 0m 0s" },
  { after: 1_000, uptime: "0d 0h 0m 1s" },
  { after: 3_599_999, uptime: "0d 0h 59m 59s" },
  { after: 86_399_000, uptime: "0d 23h 59m 59s" },
  { after: 100 * 86_400_000 + 3_661_000, uptime: "100d 1h 1m 1s" },
  // Clocks of objects may differ.
  { after: -5_000, uptime: "0d 0h 0m 0s" },
])("the uptime is $uptime after $after ms", ({ after, uptime }) => {
  const [first] = read(formatInfo(figures, 0, SINCE + after));
  expect(first).toEqual({ kind: "figure", key: "uptime", value: uptime });
});
