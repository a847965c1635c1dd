/** The rows of an object's downstream links, and of its channel's position while it has links. */

import { parentOf } from "../runtime/object-names.ts";
import { type Checked, isBoolean, isNumber, optional, shape } from "../runtime/rows.ts";
import type { Runtime } from "../runtime/runtime.ts";

export const LINK = "downstream:";
export const ORDER = "order";

/** The row of a link, stored under `downstream:<object>`. */
export type LinkRow = Checked<typeof isLinkRow>;

export const isLinkRow = shape({
  epoch: isNumber,
  /** The time at which the link was lost, in milliseconds since 1970; undefined if it isn't lost. */
  lostAt: optional(isNumber),
});

/** The row of the channel's order, stored under `order` while the object has links. */
export type OrderRow = Checked<typeof isOrderRow>;

export const isOrderRow = shape({
  /** The newest position; undefined while a child doesn't know it. */
  position: optional(isNumber),
  /** Whether deliveries may be pending. */
  busy: isBoolean,
  /**
   * The alarm's time when the row was written, in milliseconds since 1970. Before the first delivery after a quiet
   * time, the object sets the alarm to another time instead of writing a row. So if the object wakes and the alarm is
   * set for another time than this, deliveries may have been pending. An alarm that has gone off means nothing.
   */
  alarm: optional(isNumber),
  /** Whether the object has a history: then the history has the newest position, and the alarm doesn't count. */
  kept: isBoolean,
});

/** Returns the row for the current state. Pending deliveries don't matter if the object has a history. */
export function orderRow(
  position: number | undefined,
  busy: boolean,
  hasHistory: boolean,
  { alarmTime }: Pick<Runtime, "alarmTime">,
): OrderRow {
  if (hasHistory) return { position, busy: false, alarm: undefined, kept: true };
  return { position, busy, alarm: alarmTime(), kept: false };
}

/**
 * Returns the state of the order after the object has woken: the position to continue after, undefined if a child has to
 * learn it from its parent; whether links may be behind, though the log has the messages that they lack; and whether the
 * object crashed during deliveries, so that it can't know which messages were received.
 * @param row the row of the order
 * @param stored the newest position in the history
 * @param unstored the newest position that storage refused before the object hibernated
 */
export function restoreOrder(
  row: OrderRow | undefined,
  stored: number | undefined,
  unstored: number | undefined,
  runtime: Runtime,
) {
  if (unstored !== undefined) {
    const position = Math.max(unstored, row?.position ?? 0, stored ?? 0);
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

/** Whether `row` needs no update to `other`. An `other` without an alarm matches any alarm. */
export function isSameOrder(row: OrderRow, other: OrderRow): boolean {
  if (row.position !== other.position || row.busy !== other.busy || row.kept !== other.kept) return false;
  return other.alarm === undefined || other.alarm === row.alarm;
}

/**
 * Returns the position at which a root starts, or continues if a crash has lost its position. Positions start at the
 * time in microseconds, which exceeds all earlier positions unless the channel has averaged over a million messages per
 * second. A child learns its position from its parent.
 */
function firstPosition({ name, now }: Runtime): number | undefined {
  return parentOf(name) === undefined ? now() * 1000 : undefined;
}
