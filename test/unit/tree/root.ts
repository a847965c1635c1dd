/** A root with a history, whose time, storage and calls the test controls. */

import type { HistoryLimits } from "../../../src/channel/retained.ts";
import type { DeliveryAnswer, MissedAnswer } from "../../../src/runtime/calls.ts";
import { storeOf } from "../../simulation/store.ts";
import { settled } from "../settled.ts";
import { type DeliveryCall, delivering, fakeRuntime, noKeeper } from "./fake-runtime.ts";
import { LinkedChannel } from "./linked-channel.ts";

/** Room for all messages of a test. */
export const FAR = { historyBytes: 100_000 };

/** Asks for all retained messages. */
export const ALL = { since: 0, last: 0 };

/**
 * Starts a root.
 * @param rows the rows in storage
 * @param now the time of the start, in milliseconds
 */
export function rootOf(
  rows = new Map<string, unknown>(),
  limits: Partial<HistoryLimits> = {},
  keeper = noKeeper,
  now = 1_000_000,
) {
  const due: number[] = [];
  const renumbered: { position: number; count: number }[] = [];
  const state = { now, accepts: true, due, renumbered, written: 0 };
  const calls: DeliveryCall[] = [];
  const store = storeOf(rows, () => {
    if (state.accepts) state.written += 1;
    return state.accepts;
  });
  // A different number at each time.
  const random = () => (0.618 * state.now) % 1;
  const runtime = { ...fakeRuntime("news", rows, delivering(calls)), store, random, now: () => state.now };
  const handlers = {
    due: (time: number) => void (Number.isFinite(time) && due.push(time)),
    renumbered: (position: number, count: number) => void renumbered.push({ position, count }),
  };
  const all = { historySeconds: 120, historyBytes: 100, ...limits };
  const root = new LinkedChannel(runtime, 100_000, all, handlers, keeper);
  /** Appends a line, without storing it. Returns a function for its position, which is final once it is stored. */
  const append = (line: string, key?: string) => {
    const appended = root.append(`${line}\n`, 1, key);
    return () => appended.last;
  };
  /** Appends a line and stores it; returns its position. */
  const announce = (line: string, key?: string) => {
    const position = append(line, key);
    root.flush();
    return position();
  };
  /** Answers a call, and lets the root deliver what is next. */
  const answer = async (call: number, outcome: DeliveryAnswer) => {
    calls[call]?.answer(outcome);
    await settled();
    root.flush();
    await settled();
  };
  return { root, rows, state, calls, answer, append, announce };
}

/** Returns the names of a history's rows. */
export function rowsOf(rows: Map<string, unknown>): string[] {
  return [...rows.keys()].filter((key) => key.startsWith("history:")).sort();
}

/** Returns the lines of an answer. */
export function linesOf(kept: MissedAnswer): string {
  return "none" in kept ? "none" : kept.lines;
}
