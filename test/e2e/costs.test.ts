/** What the arithmetic of the free plan goes by is what events cost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cost, type Counts, each } from "../../tools/bench/cost.ts";
import { type Costs, type Course, KEPT_FOR, type Kind, measure } from "../../tools/bench/events.ts";
import { COSTS } from "../../tools/bench/free-plan.ts";
import { Meter } from "../../tools/bench/meter.ts";

/** How long a message without a pause takes is the machine's. */
const QUICK = ["one more message at once, 10 links", "one more message at once, 10 links, kept"];
const SLOW = [
  "one each two seconds for a minute, 10 links",
  "one each two seconds for a minute, 10 links, kept",
] as const;

/** So many messages of the thirty in that minute are enough to see what each costs. */
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

/** A slow machine begins more segments of what is kept, which are deleted later: fewer than there are messages. */
function withoutTrims(kind: Kind, rows: Counts): Counts {
  const { history } = rows;
  return isAmong(kind, QUICK) && history !== undefined ? { ...rows, history: Math.floor(history) } : rows;
}

function isAmong(kind: string, kinds: readonly string[]): boolean {
  return kinds.includes(kind);
}

describe("what is written, asked, and waited for:", () => {
  test.each(kinds)("%s", (kind) => {
    const { requests, seconds } = costs[kind];
    const rows = withoutTrims(kind, costs[kind].rows);
    expect({ rows, requests }).toEqual({ rows: COSTS[kind].rows, requests: COSTS[kind].requests });
    // A busy machine makes it more, and never less.
    if (!isAmong(kind, QUICK)) expect(seconds).toBeGreaterThan(0.95 * COSTS[kind].seconds);
  });
});

test.each(SLOW)(
  "of each message that comes when the objects have settled, but no alarm has gone off: %s",
  (slow) => {
    // Alarms and figures go by the clock, and so does the row in which a segment of what is kept goes on.
    const inMessages = ({
      rows: { counted: _, alarm: __, history = 0, ...rows },
      requests: { alarm: ___, ...requests },
    }: Cost) => ({ rows, history: Math.floor(history), requests });
    const counted = inMessages(each(SLOW_MESSAGES, costs[slow]));
    expect(counted).toEqual(inMessages(each(30, COSTS[slow])));
  },
);
