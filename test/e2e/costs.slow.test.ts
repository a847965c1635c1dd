/** The costs of events that the free plan's arithmetic uses are the measured ones. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cost, type Counts, each } from "../../src/costs/cost.ts";
import { COSTS, type Costs, type EventKind } from "../../src/costs/measured.ts";
import { measure, RETENTION_SECONDS, type Schedule } from "../../tools/bench/events.ts";
import { Meter } from "../../tools/bench/meter.ts";

/** Their time per message depends on the machine. */
const QUICK = [
  "one more message immediately after, 10 links",
  "one more message immediately after, 10 links, retained",
];
const SLOW = [
  "a message every two seconds for a minute, 10 links",
  "a message every two seconds for a minute, 10 links, retained",
] as const;

/** Messages measured, of the thirty in that minute. */
const SLOW_MESSAGES = 3;

let withoutHistory: Meter;
let withHistory: Meter;
let costs: Costs;

beforeAll(async () => {
  withoutHistory = await Meter.start(0);
  withHistory = await Meter.start(RETENTION_SECONDS);
  const schedule: Schedule = {
    beforeLone: async () => {},
    quick: 20,
    afterQuick: async () => {},
    slow: SLOW_MESSAGES,
    afterSlow: (channel, meter) => meter.quiet(channel),
  };
  costs = await measure(withoutHistory, withHistory, schedule);
});

afterAll(async () => {
  await withoutHistory.stop();
  await withHistory.stop();
});

const kinds = Object.keys(COSTS).filter((kind): kind is EventKind => kind in COSTS && !isAmong(kind, SLOW));

/** Rounds down history rows: a slow machine begins more segments, which are deleted later, but less than one per message. */
function withoutTrims(kind: EventKind, rows: Counts): Counts {
  const { history } = rows;
  return isAmong(kind, QUICK) && history !== undefined ? { ...rows, history: Math.floor(history) } : rows;
}

function isAmong(kind: string, kinds: readonly string[]): boolean {
  return kinds.includes(kind);
}

describe("rows, requests and seconds:", () => {
  test.each(kinds)("%s", (kind) => {
    const { requests, seconds } = costs[kind];
    const rows = withoutTrims(kind, costs[kind].rows);
    expect({ rows, requests }).toEqual({ rows: COSTS[kind].rows, requests: COSTS[kind].requests });
    // A busy machine takes longer, but never less.
    if (!isAmong(kind, QUICK)) expect(seconds).toBeGreaterThan(0.95 * COSTS[kind].seconds);
  });
});

test.each(SLOW)("each message once the objects have settled, before any alarm fires: %s", (slow) => {
  // Alarms, counters and new history segments depend on the clock.
  const inMessages = ({
    rows: { counted: _, alarm: __, history = 0, ...rows },
    requests: { alarm: ___, ...requests },
  }: Cost) => ({ rows, history: Math.floor(history), requests });
  const counted = inMessages(each(SLOW_MESSAGES, costs[slow]));
  expect(counted).toEqual(inMessages(each(30, COSTS[slow])));
});
