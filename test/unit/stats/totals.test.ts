import { expect, test } from "vitest";
import type { Figures, Totals } from "../../../src/runtime/calls.ts";
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

/** Returns `ONE` multiplied by a number. */
function times(n: number): Totals {
  return Array.from({ length: n }).reduce<Totals>((sum) => sumOf(sum, ONE), noTotals());
}

/** Returns the figures of an object with `n` of everything. */
function figures(n: number, channels: string[]): Figures {
  const sizes = { connections: n, peak: n, subscriptions: n, requested: n, objects: n, unreachable: n };
  return { ...sizes, totals: times(n), channels: hashesOf(channels, 1) };
}

test("each total is added", () => {
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

test("figures are added, and each channel counts once", () => {
  const linked = [figures(2, ["all", "news"]), figures(4, ["all", "sport"])];
  const sum = sumOfFigures(figures(1, ["all"]), linked, 1);
  const others = { unreachable: 8, deepest: 0, kept: 0, members: 0 };
  expect(sum).toEqual({ ...figures(7, ["all", "news", "sport"]), ...others });
});

test("members are added, also to those of objects that don't report any", () => {
  const [own, linked] = [figures(1, ["all"]), { ...figures(2, ["news"]), members: 3 }];
  expect(sumOfFigures(own, [linked, linked, own], 0).members).toBe(6);
  expect(sumOfFigures({ ...own, members: 4 }, [linked, own], 0).members).toBe(7);
});
