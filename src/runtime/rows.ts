/** What is read back from storage: nothing but a look at it tells its kind. */
import { assert } from "../assert.ts";

/**
 * A row of storage, or undefined if there is none.
 * @throws Error if it is of another kind than `is` says, as nobody else writes there
 */
export function rowOf<Row>(value: unknown, is: (value: unknown) => value is Row): Row | undefined {
  assert(value === undefined || is(value), "storage has rows of the kind that was put there");
  return value;
}

export function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/** Whether a value has properties, which are still to be looked at. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
