/** The costs of events that the free plan's arithmetic uses are the measured ones. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cost, type Counts, each } from "../../tools/bench/cost.ts";
import { type Costs, type Course, KEPT_FOR, type Kind, measure } from "../../tools/bench/events.ts";
import { COSTS } from "../../tools/bench/free-plan.ts";
import { Meter } from "../../tools/bench/meter.ts";

/** Their time per message depends on the machine. */
const QUICK = ["one more message at once, 10 links", "one more message at once, 10 links, kept"];
const SLOW = [
  "one each two seconds for a minute, 10 links",
  "one each two seconds for a minute, 10 links, kept",
] as const;

/** Messages measured, of the thirty in that minute. */
const SLOW_MESSAGES = 3;

let forgetful: Meter;
let keeping: Meter;
let costs: Costs;

beforeAll(async () => {
  forgetful = await Meter.start(0);
  keeping = await Meter.start(KEPT_FOR);
  const course: Course = {
    beforeLone: async () => {},
    quick: 20,
    afterQuick: async () => {},
    slow: SLOW_MESSAGES,
    afterSlow: (channel, meter) => meter.quiet(channel),
  };
  costs = await measure(forgetful, keeping, course);
});

afterAll(async () => {
  await forgetful.stop();
  await keeping.stop();
});

const kinds = Object.keys(COSTS).filter((kind): kind is Kind => kind in COSTS && !isAmong(kind, SLOW));

/** Rounds down history rows: a slow machine begins more segments, which are deleted later, but less than one per message. */
function withoutTrims(kind: Kind, rows: Counts): Counts {
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
