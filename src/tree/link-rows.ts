/** What storage remembers of the links that an object feeds. */

import type { UnstoredPosition } from "../channel/unstored-position.ts";
import { parentOf } from "../runtime/object-names.ts";
import { isNumber, isRecord } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";

export const LINK = "downstream:";
export const ORDER = "order";

/** What storage remembers of a link, under `downstream:<object>`. */
export interface LinkRow {
  epoch: number;
  /** When it was lost, in milliseconds since 1970; undefined if it is not. */
  lostAt: number | undefined;
}

/** What storage remembers of the order, under `order`, while there are links. */
export interface OrderRow {
  /** Undefined while a child has to learn it from its parent. */
  position: number | undefined;
  /** Whether some link may not have everything. */
  busy: boolean;
  /**
   * When the alarm was to go off, in milliseconds since 1970, when this was written. If it is set for another
   * time, some link may not have everything: setting it is what says so, before the first message after a
   * quiet time. An alarm that has gone off says nothing.
   */
  alarm: number | undefined;
  /** Whether history is kept, so that it tells what came after this, whatever the alarm says. */
  kept: boolean;
}

export function isLinkRow(row: unknown): row is LinkRow {
  return isRecord(row) && isNumber(row.epoch) && (row.lostAt === undefined || isNumber(row.lostAt));
}

export function isOrderRow(row: unknown): row is OrderRow {
  if (!isRecord(row) || typeof row.busy !== "boolean" || typeof row.kept !== "boolean") return false;
  const { position, alarm } = row;
  return (position === undefined || isNumber(position)) && (alarm === undefined || isNumber(alarm));
}

/** What is to be known now. Where history is kept, that tells what is under way. */
export function orderRow(
  position: number | undefined,
  busy: boolean,
  hasHistory: boolean,
  { alarmTime }: Pick<Runtime, "alarmTime">,
): OrderRow {
  if (hasHistory) return { position, busy: false, alarm: undefined, kept: true };
  return { position, busy, alarm: alarmTime(), kept: false };
}

/** Where an object goes on that woke. */
interface RestoredOrder {
  /** Undefined while a child has to learn it from its parent. */
  position: number | undefined;
  /** Whether links may not have everything, and the log has what they miss. */
  isBehind: boolean;
  /** Whether an earlier life ended in the middle of deliveries, and nobody can tell what has arrived. */
  isInDoubt: boolean;
}

/**
 * Works out where an object goes on.
 * @param row what storage has of the order
 * @param stored the newest position that its history has
 */
export function restoreOrder(
  row: OrderRow | undefined,
  stored: number | undefined,
  unstored: Pick<UnstoredPosition, "position">,
  runtime: Runtime,
): RestoredOrder {
  if (unstored.position !== undefined) {
    const position = Math.max(unstored.position, row?.position ?? 0, stored ?? 0);
    return { position, isBehind: false, isInDoubt: false };
  }
  if (row?.kept && stored !== undefined && stored >= (row.position ?? 0)) {
    return { position: stored, isBehind: stored !== row.position, isInDoubt: false };
  }
  const alarm = runtime.alarmTime();
  const wasBusy = row !== undefined && (row.busy || (alarm !== undefined && alarm !== row.alarm));
  const isInDoubt = wasBusy && !row.kept;
  const position = isInDoubt ? undefined : (row?.position ?? stored);
  return { position: position ?? firstPosition(runtime), isBehind: false, isInDoubt };
}

/** Whether a row says what another one would; no alarm says nothing. */
export function isSameOrder(row: OrderRow, other: OrderRow): boolean {
  if (row.position !== other.position || row.busy !== other.busy || row.kept !== other.kept) return false;
  return other.alarm === undefined || other.alarm === row.alarm;
}

/**
 * Where an order begins or, after a crash has forgotten how far it had come, goes on: milliseconds as
 * thousands are further than that, unless a channel has had over a million messages a second for all of
 * its life. A child learns its position from its parent.
 */
function firstPosition({ name, now }: Runtime): number | undefined {
  return parentOf(name) === undefined ? now() * 1000 : undefined;
}
