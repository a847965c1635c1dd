import { expect, test } from "vitest";
import type { Figures, Handover, Totals } from "../../../src/runtime/calls.ts";
import { hashesOf } from "../../../src/stats/distinct.ts";
import { noTotals, sumOf, sumOfFigures } from "../../../src/stats/totals.ts";

const ONE: Totals = {
  rejected: 2,
  connections: 3,
  announcements: 5,
  messages: 7,
  subscribes: 11,
  unsubscribes: 13,
  pings: 17,
};

/** Each total times a number. */
function times(n: number): Totals {
  return Array.from({ length: n }).reduce<Totals>((sum) => sumOf(sum, ONE), noTotals());
}

/** What an object says of itself that has `n` of everything. */
function figures(n: number, channels: string[], handover?: Handover): Figures {
  const sizes = { connections: n, peak: n, subscriptions: n, requested: n, objects: n, unreachable: n };
  return { ...sizes, totals: times(n), channels: hashesOf(channels, 1), handover };
}

test("totals are added one by one", () => {
  expect(sumOf(ONE, noTotals())).toEqual(ONE);
  expect(sumOf(ONE, ONE)).toEqual({
    rejected: 4,
    connections: 6,
    announcements: 10,
    messages: 14,
    subscribes: 22,
    unsubscribes: 26,
    pings: 34,
  });
});

test("figures of objects are added up, and each channel counts once", () => {
  const answers = [
    { epoch: 1, figures: figures(2, ["all", "news"]) },
    { epoch: 2, figures: figures(4, ["all", "sport"]) },
  ];
  const sum = sumOfFigures(figures(1, ["all"]), answers, 1);
  const others = { unreachable: 8, deepest: 0, kept: 0 };
  expect(sum).toEqual({ ...figures(7, ["all", "news", "sport"]), ...others });
});

test("what may have been handed over counts while the record of that link is there", () => {
  const handover = { period: 5, totals: times(10), peak: 1 };
  const of = (epoch: number) =>
    sumOfFigures(figures(1, []), [{ epoch, figures: figures(2, [], handover) }], 0);
  expect(of(5).totals).toEqual(times(13));
  expect(of(6).totals).toEqual(times(3));
});
