/** What the arithmetic of the free plan goes by is what events cost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cost, each } from "../bench/cost.ts";
import { type Costs, type Course, type Kind, measure } from "../bench/events.ts";
import { COSTS } from "../bench/free-plan.ts";
import { Meter } from "../bench/meter.ts";

const QUICK = "one more message at once, 10 links";
const SLOW = "one each two seconds for a minute, 10 links";

/** So many messages of the thirty in that minute are enough to see what each costs. */
const SLOW_MESSAGES = 3;

let meter: Meter;
let costs: Costs;

beforeAll(async () => {
  meter = await Meter.start();
  const course: Course = {
    beforeLone: async () => {},
    quick: 20,
    afterQuick: async () => {},
    slow: SLOW_MESSAGES,
    afterSlow: (channel) => meter.quiet(channel),
  };
  costs = await measure(meter, course);
});

afterAll(() => meter.stop());

const kinds = Object.keys(COSTS).filter((kind): kind is Kind => kind in COSTS && kind !== SLOW);

describe("what is written, asked, and waited for:", () => {
  test.each(kinds)("%s", (kind) => {
    const { rows, requests, seconds } = costs[kind];
    expect({ rows, requests }).toEqual({ rows: COSTS[kind].rows, requests: COSTS[kind].requests });
    // A busy machine makes it more, and never less. How long a message without a pause takes is the machine's.
    if (kind !== QUICK) expect(seconds).toBeGreaterThan(0.95 * COSTS[kind].seconds);
  });
});

test("of each message that comes when the objects have settled, but no alarm has gone off", () => {
  // Alarms and figures go by the clock.
  const inMessages = ({ rows: { counted: _, ...rows }, requests: { alarm: __, ...requests } }: Cost) => ({
    rows,
    requests,
  });
  const counted = inMessages(each(SLOW_MESSAGES, costs[SLOW]));
  expect(counted).toEqual(inMessages(each(30, COSTS[SLOW])));
});
