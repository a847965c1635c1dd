/** Arithmetic on the figures of objects. */
import type { Figures, Totals } from "../runtime/calls.ts";
import { isNumber, isRecord, optional } from "../runtime/rows.ts";
import { mergeHashes } from "./distinct.ts";
import { isTally, sumOfTallies } from "./tally.ts";

const COUNTERS = [
  "rejected",
  "connections",
  "announcements",
  "messages",
  "subscribes",
  "unsubscribes",
  "pings",
] as const;
const FIGURES = ["peak", "connections", "subscriptions", "requested", "objects", "unreachable"] as const;

export function noTotals(): Totals {
  return { rejected: 0, connections: 0, announcements: 0, messages: 0, subscribes: 0, unsubscribes: 0, pings: 0 };
}

/** Whether all totals that `info` shows are zero. */
export function isNothing(totals: Totals): boolean {
  return Object.values({ ...totals, others: 0 }).every((total) => total === 0);
}

export function isTotals(value: unknown): value is Totals {
  return isRecord(value) && COUNTERS.every((counter) => isNumber(value[counter])) && optional(isTally)(value.others);
}

export function sumOf(one: Totals, other: Totals): Totals {
  const { others, ...sum } = one;
  for (const counter of COUNTERS) sum[counter] += other[counter];
  return others || other.others ? { ...sum, others: sumOfTallies(others, other.others) } : sum;
}

/** Adds the figures of linked objects to those of an object. */
export function sumOfFigures(own: Figures, linked: Figures[], unreachable: number): Figures {
  const all = { ...own, unreachable: own.unreachable + unreachable };
  for (const figures of linked) {
    all.totals = sumOf(all.totals, figures.totals);
    for (const figure of FIGURES) all[figure] += figures[figure];
    all.deepest = Math.max(all.deepest ?? 0, figures.deepest ?? 0);
    all.kept = (all.kept ?? 0) + (figures.kept ?? 0);
    all.members = (all.members ?? 0) + (figures.members ?? 0);
    all.channels = mergeHashes(all.channels, figures.channels);
  }
  return all;
}
