/** A root with history, whose time, storage and calls a test controls. */

import type { HistoryLimits } from "../../../src/channel/retained.ts";
import type { Delivery, DeliveryAnswer, MissedAnswer } from "../../../src/runtime/calls.ts";
import type { Keeper } from "../../../src/runtime/runtime.ts";
import { storeOf } from "../../simulation/store.ts";
import { noKeeper, type Others, stillWorld } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** Room for all that a test announces. */
export const FAR = { historyBytes: 100_000 };

/** Everything that is retained. */
export const ALL = { since: 0, last: 0 };

/**
 * One life of a root.
 * @param rows those that earlier lives have left
 * @param now when it begins, in milliseconds
 */
export function rootOf(
  rows = new Map<string, unknown>(),
  limits: Partial<HistoryLimits> = {},
  keeper = noKeeper,
  now = 1_000_000,
) {
  const until: number[] = [];
  const renumbered: { position: number; count: number }[] = [];
  const state = { now, takes: true, until, renumbered, written: 0 };
  const calls: { delivery: Delivery; answer: (answer: DeliveryAnswer) => void; fail: () => void }[] = [];
  const others: Others = {
    deliver: (_, delivery) =>
      new Promise((answer, fail) => calls.push({ delivery, answer, fail: () => fail(new Error("lost")) })),
  };
  const store = storeOf(rows, () => {
    if (state.takes) state.written += 1;
    return state.takes;
  });
  // Another one for each time.
  const random = () => (0.618 * state.now) % 1;
  const runtime = { ...stillWorld("news", rows, others), store, random, now: () => state.now };
  const told = {
    due: (time: number) => void (Number.isFinite(time) && until.push(time)),
    renumbered: (position: number, count: number) => void renumbered.push({ position, count }),
  };
  const all = { historySeconds: 120, historyBytes: 100, ...limits };
  const root = new LinkedChannel(runtime, 100_000, all, told, keeper);
  /** Announces a line; returns its position, which is final when it is stored. */
  const say = (line: string, key?: string) => {
    const placed = root.append(`${line}\n`, 1, key);
    return () => placed.last;
  };
  /** The same, and stores it. */
  const tell = (line: string, key?: string) => {
    const position = say(line, key);
    root.flush();
    return position();
  };
  return { root, rows, state, calls, say, tell };
}

/** A place that outlives sleep, as sockets have it. */
export function keeperOf(): Keeper {
  const place: { kept?: object } = {};
  return {
    hasSlept: true,
    get kept() {
      return place.kept;
    },
    keep(some) {
      place.kept = some;
      return true;
    },
  };
}

/** Resolves when all promises that depend on nothing else have settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

/** The rows of a history. */
export function rowsOf(rows: Map<string, unknown>): string[] {
  return [...rows.keys()].filter((key) => key.startsWith("history:")).sort();
}

/** The retained lines of an answer. */
export function linesOf(kept: MissedAnswer): string {
  return "none" in kept ? "none" : kept.lines;
}
