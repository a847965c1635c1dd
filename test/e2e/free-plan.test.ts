import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { each, minus, plus, requested, times, written } from "../../src/costs/cost.ts";
import { channels, FREE, messages, most, shares, type Use, usedIn } from "../../src/costs/free-plan.ts";
import { COSTS, type Costs } from "../../src/costs/measured.ts";
import { DAYS, dayTable, SERVICES, table } from "../../tools/bench/free-plan.ts";

const NOTHING = { rows: {}, requests: {}, seconds: 0 };
const DAY = 24 * 3600;

/** As if all that happens cost nothing, but for what is said here. */
function only(some: Partial<Costs>): Costs {
  const costs = structuredClone(COSTS);
  for (const cost of Object.values(costs)) Object.assign(cost, NOTHING);
  return { ...costs, ...some };
}

describe("costs", () => {
  const cost = { rows: { alarm: 1, order: 2 }, requests: { call: 3, message: 10 }, seconds: 4 };

  test("are added, taken away, multiplied and divided by what they are for", () => {
    const other = { rows: { order: 1, service: 1 }, requests: { message: 10 }, seconds: 1 };
    const sum = { rows: { alarm: 1, order: 3, service: 1 }, requests: { call: 3, message: 20 }, seconds: 5 };
    expect(plus(cost, other)).toEqual(sum);
    expect(minus(sum, other)).toEqual(cost);
    expect(times(3, other)).toEqual(plus(other, other, other));
    expect(each(3, times(3, cost))).toEqual(cost);
  });

  test("are billed as rows, and as requests, of which 20 messages are one", () => {
    expect(written(cost)).toBe(3);
    expect(requested(cost)).toBe(3.5);
  });
});

describe("messages", () => {
  const message = { rows: { alarm: 1, order: 1 }, requests: { deliver: 10, message: 20 }, seconds: 22 };
  const linked = messages(only({ "a lone message, 10 links": message }), 10, 10, false);

  test("cost what each does, and a row for the figures of each object in each minute that has one", () => {
    expect(linked.use(100)).toEqual({ rows: 2 * 100 + 11 * 100, requests: 11 * 100, seconds: 22 * 100 });
    expect(linked.use(2_000).rows).toBe(2 * 2_000 + 11 * 1_440);
  });

  test("keep no object awake for longer than the day", () => {
    expect(linked.use(DAY / 2).seconds).toBe(11 * DAY);
    expect(linked.use(DAY).seconds).toBe(11 * DAY);
    const alone = only({ "a lone message to 10 subscribers, no links": { ...NOTHING, seconds: 1 } });
    expect(messages(alone, 10, 0, false).use(DAY).seconds).toBe(DAY);
    expect(messages(alone, 10, 0, false).use(2 * DAY).seconds).toBe(DAY);
  });
});

test("messages that are kept have an alarm go off once in 2.125 times as long, and the last one's text dropped", () => {
  const retained = { rows: { alarm: 1, history: 2 }, requests: { alarm: 1, message: 20 }, seconds: 0 };
  const service = messages(only({ "a lone message to 10 subscribers, no links, retained": retained }), 10, 0);
  expect(service.use(10)).toMatchObject({ rows: 40, requests: 20 });
  const { rows, requests } = service.use(DAY);
  expect(rows).toBeCloseTo(DAY + 2 * (DAY / 255) + DAY / 60);
  expect(requests).toBeCloseTo(DAY + DAY / 255);
});

test("each subscriber comes and goes once", () => {
  const seconds = (count: number) => ({ ...NOTHING, seconds: count });
  const costs = only({
    "connecting to an unused channel": seconds(1),
    "leaving a channel as its last client": seconds(1),
    "connecting to a channel in use": seconds(100),
    "leaving a channel still in use": seconds(100),
    "an object's first subscription to another channel": seconds(10_000),
    "an object's last unsubscribe": seconds(10_000),
    "another subscription of that object": seconds(1_000_000),
    "unsubscribing while others stay subscribed": seconds(1_000_000),
  });
  expect(messages(costs, 40, 0).use(0).seconds).toBe(2 * 1 + 2 * 39 * 100);
  expect(messages(costs, 40, 10).use(0).seconds).toBe(2 * 10 * (1 + 10_000) + 2 * 30 * (100 + 1_000_000));
  expect(channels(costs, 40, 10).use(3).seconds).toBe(3 * messages(costs, 40, 0).use(0).seconds);
});

test("a channel has so many messages", () => {
  const costs = only({ "a lone message to 10 subscribers, no links, retained": { ...NOTHING, seconds: 2 } });
  expect(channels(costs, 10, 5).use(3).seconds).toBe(3 * 5 * 2);
});

describe("a day", () => {
  const day = { people: 50, messages: 2_000, updates: 500 };

  test("costs what its messages cost on one channel, and a request for each update", () => {
    const { rows, requests, seconds } = messages(COSTS, 50, 0).use(2_500);
    expect(usedIn(COSTS, day)).toEqual({ rows, requests: requests + 500 * (1 - 1 / 20), seconds });
    expect(usedIn(COSTS, { ...day, updates: 0 })).toEqual(messages(COSTS, 50, 0).use(2_000));
  });

  test("of 50 people with 2,000 messages and 500 updates is 5 % of the free plan", () => {
    const percentages = shares(usedIn(COSTS, day), FREE).map((share) => Math.round(100 * share));
    expect(percentages).toEqual([5, 1, 5]);
  });
});

test.each<keyof Use>(["rows", "requests", "seconds"])("there are as many of a thing as its %s allow", (what) => {
  const use = (count: number) => ({ rows: 0, requests: 0, seconds: 0, [what]: 3 * count });
  const limits = { rows: 1, requests: 1, seconds: 1, [what]: 100 };
  expect(most({ title: "", use }, limits)).toBe(33);
  expect(most({ title: "", use }, { ...limits, [what]: 2 })).toBe(0);
});

describe("docs/costs.md", async () => {
  const page = await readFile(new URL("../../docs/costs.md", import.meta.url), "utf8");

  test("shows the tables that the program prints", () => {
    for (const shown of [dayTable(DAYS, FREE), table(SERVICES, FREE)]) expect(page).toContain(`\n\n${shown}\n\n`);
  });

  test("says in words what a row of its examples says", async () => {
    const [, people, sent, updates, share] =
      /^(\d+) people who send ([\d,]+) messages a day, .* announces (\d+) updates, use (\d+ %)/m.exec(page) ?? [];
    expect(page).toMatch(new RegExp(`\\| ${people} \\| ${sent} \\| ${updates} \\|.*\\| \\*\\*${share}\\*\\* \\|`));
    const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
    const all = [sent, updates].reduce((sum, count = "") => sum + Number(count.replace(",", "")), 0);
    const said = `A team's chat of ${all.toLocaleString("en")} messages a day takes\n[${share} of the free plan](docs/costs.md`;
    expect(readme).toContain(said);
  });
});
