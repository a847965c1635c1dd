/** Arithmetic on the figures of objects. */
import type { Figures, Totals } from "../runtime/calls.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";
import { mergeHashes } from "./distinct.ts";
import { isTally, sumOfTallies } from "./tally.ts";

export function noTotals(): Totals {
  return {
    rejected: 0,
    connections: 0,
    announcements: 0,
    messages: 0,
    subscribes: 0,
    unsubscribes: 0,
    pings: 0,
  };
}

/** Whether all totals that `info` shows are zero. */
export function isNothing(totals: Totals): boolean {
  return Object.values({ ...totals, others: 0 }).every((total) => total === 0);
}

export function isTotals(value: unknown): value is Totals {
  if (!isRecord(value) || !Object.keys(noTotals()).every((counter) => isNumber(value[counter]))) return false;
  return value.others === undefined || isTally(value.others);
}

export function sumOf(one: Totals, other: Totals): Totals {
  return {
    rejected: one.rejected + other.rejected,
    connections: one.connections + other.connections,
    announcements: one.announcements + other.announcements,
    messages: one.messages + other.messages,
    subscribes: one.subscribes + other.subscribes,
    unsubscribes: one.unsubscribes + other.unsubscribes,
    pings: one.pings + other.pings,
    ...(one.others || other.others ? { others: sumOfTallies(one.others, other.others) } : {}),
  };
}

/** Adds the figures of linked objects to those of an object. */
export function sumOfFigures(own: Figures, linked: Figures[], unreachable: number): Figures {
  const all = { ...own, unreachable: own.unreachable + unreachable };
  for (const figures of linked) {
    all.totals = sumOf(all.totals, figures.totals);
    all.peak += figures.peak;
    all.connections += figures.connections;
    all.subscriptions += figures.subscriptions;
    all.requested += figures.requested;
    all.objects += figures.objects;
    all.unreachable += figures.unreachable;
    all.deepest = Math.max(all.deepest ?? 0, figures.deepest ?? 0);
    all.kept = (all.kept ?? 0) + (figures.kept ?? 0);
    all.channels = mergeHashes(all.channels, figures.channels);
  }
  return all;
}
