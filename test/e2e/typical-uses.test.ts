import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { messages, usedIn } from "../../src/costs/free-plan.ts";
import { COSTS } from "../../src/costs/measured.ts";
import { ably, cloudflare, pubnub, pusher, type Traffic } from "../../tools/bench/list-prices.ts";
import { costTable, priceTable, trafficOf, USES, usageOf, useTable } from "../../tools/bench/typical-uses.ts";

const USE = {
  title: "",
  ...{ channels: 3, people: 10, isTree: false, days: 5, hours: 20, stay: 2, messages: 100, updates: 50 },
};
const NONE: Traffic = {
  people: 0,
  connectionMinutes: 0,
  channelMinutes: 0,
  channels: 0,
  messages: 0,
  messagesADay: 0,
};

test("a month is as many days of each channel", () => {
  const day = usedIn(COSTS, USE);
  expect(usageOf(USE)).toEqual({
    workerRequests: 15 * (10 + 50),
    requests: 15 * day.requests,
    rows: 15 * day.rows,
    seconds: 15 * day.seconds,
  });
  expect(trafficOf(USE)).toEqual({
    people: 30,
    connectionMinutes: 3 * 10 * 5 * 120,
    channelMinutes: 3 * 5 * 20 * 60,
    channels: 3,
    messages: 5 * 3 * 150 * 11,
    messagesADay: 3 * 150 * 11,
  });
});

test("objects are in memory for at most the hours of use", () => {
  expect(usageOf({ ...USE, hours: 0.01 }).seconds).toBeCloseTo(15 * 36);
  expect(usageOf({ ...USE, hours: 0.01, isTree: true }).seconds).toBeCloseTo(15 * 11 * 36);
});

test("in a tree, each client is a request more, and each update one instead of a twentieth", () => {
  const { requests, rows } = messages(COSTS, 10, 10).use(150);
  const usage = usageOf({ ...USE, isTree: true });
  expect(usage.requests).toBeCloseTo(15 * (requests + 10 + 50 * (1 - 1 / 20)));
  expect(usage.rows).toBeCloseTo(15 * rows);
});

test("Cloudflare charges the plan, and what is beyond what it includes", () => {
  const included = { workerRequests: 10e6, requests: 1e6, rows: 50e6, seconds: 3_125_000 };
  expect(cloudflare(included)).toBe(5);
  const { workerRequests, requests, rows, seconds } = included;
  expect(cloudflare({ ...included, workerRequests: workerRequests + 1e6 })).toBeCloseTo(5.3);
  expect(cloudflare({ ...included, requests: requests + 1e6 })).toBeCloseTo(5.15);
  expect(cloudflare({ ...included, rows: rows + 1e6 })).toBeCloseTo(6);
  expect(cloudflare({ ...included, seconds: seconds + 1e6 / 0.128 })).toBeCloseTo(17.5);
});

// The examples of Ably's page.
test.each([
  [{ messages: 49e6 }, 122.5],
  [{ messages: 120e6 }, 282.5],
  [{ channelMinutes: 8e6 }, 8],
  [{ channelMinutes: 140e6 }, 129.5],
  [{ connectionMinutes: 130e6 }, 121],
])("Ably charges a package and %o", (traffic, price) => {
  expect(ably({ ...NONE, ...traffic })).toBeCloseTo(29 + price);
});

test("packages and plans end somewhere", () => {
  const people = (count: number) => ({ ...NONE, people: count });
  expect([10_000, 10_001, 50_000, 50_001].map((count) => ably(people(count)))).toEqual([29, 399, 399, undefined]);
  expect(ably({ ...NONE, channels: 10_001 })).toBe(399);
  expect([100, 101, 30_000, 30_001].map((count) => pusher(people(count)))).toEqual([0, 49, 1_199, undefined]);
  expect(pusher({ ...people(100), messagesADay: 10_000_001 })).toBe(499);
  expect(pusher({ ...people(100), messagesADay: 90_000_001 })).toBe(undefined);
  expect([200, 201, 25_000, 25_001].map((count) => pubnub(people(count)))).toEqual([0, 98, 1_130, undefined]);
});

test("docs/performance.md shows the tables that the program prints", async () => {
  const page = await readFile(new URL("../../docs/performance.md", import.meta.url), "utf8");
  for (const table of [useTable(USES), costTable(USES), priceTable(USES)]) expect(page).toContain(table);
});
