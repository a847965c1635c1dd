import { describe, expect, test } from "vitest";
import { estimate, type Fields } from "../../../src/console/estimate.ts";
import { FREE, usedIn } from "../../../src/costs/free-plan.ts";
import { COSTS } from "../../../src/costs/measured.ts";

const DAY: Fields = { people: "50", messages: "2,000", updates: "500" };

/** Returns the sentence for a day that differs from DAY. */
function sentence(fields: Partial<Fields>): string {
  return estimate({ ...DAY, ...fields }).sentence;
}

test("a day takes the largest of its shares of the free plan", () => {
  const use = usedIn(COSTS, { people: 50, messages: 2_000, updates: 500 });
  expect(estimate(DAY)).toEqual({
    sentence: "50 people, 2,000 messages and 500 updates a day take 5 % of the Workers free plan.",
    parts: [
      `${Math.ceil(use.rows).toLocaleString("en-US")} of 100,000 rows written (5 %)`,
      `${Math.ceil(use.requests)} of 100,000 requests to objects (1 %)`,
      `${use.seconds.toLocaleString("en-US")} of ${Math.floor(FREE.seconds).toLocaleString("en-US")} seconds in memory (5 %)`,
    ],
  });
});

test("one of each is named so, and takes less than a percent", () => {
  expect(sentence({ people: "1", messages: "1", updates: "1" })).toBe(
    "1 person, 1 message and 1 update a day take less than 1 % of the Workers free plan.",
  );
  expect(sentence({ people: "1", messages: "0", updates: "0" })).toBe(
    "1 person, 0 messages and 0 updates a day take less than 1 % of the Workers free plan.",
  );
});

test("what exceeds the plan is said, with the limit that is reached first", () => {
  expect(sentence({ messages: "1000000" })).toMatch(
    / take 1,003 % of the Workers free plan, more than it carries: the rows written run out\.$/,
  );
});

describe("a field takes whole numbers:", () => {
  test.each(["2000", " 2000 ", "2,000", "2 000", "02000"])("%s", (messages) => {
    expect(estimate({ ...DAY, messages })).toEqual(estimate(DAY));
  });

  test.each(["", " ", "many", "-1", "1.5", "2.000", "1e3", "0x10", "20,00", "1,0000", "∞", "NaN", "9".repeat(20)])(
    "not '%s'",
    (messages) => {
      expect(estimate({ ...DAY, messages })).toEqual({
        wrong: "messages",
        sentence: "Messages a day must be a whole number from 0 to 1,000,000,000.",
      });
    },
  );

  test("in its range", () => {
    const range = "People a day must be a whole number from 1 to 10,000.";
    expect(sentence({ people: "0" })).toBe(range);
    expect(sentence({ people: "10001" })).toBe(`${range} More of them need several objects, which cost more.`);
    expect(estimate({ ...DAY, updates: "-5" })).toMatchObject({ wrong: "updates" });
  });
});
