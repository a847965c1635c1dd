/** Checks the types of values read from storage. */
import { assert } from "../assert.ts";

/**
 * Returns a stored row; undefined if there is none.
 * @param is checks its type
 * @throws Error if the row has another type
 */
export function rowOf<Row>(value: unknown, is: (value: unknown) => value is Row): Row | undefined {
  assert(value === undefined || is(value), "stored rows have the type that was written");
  return value;
}

export function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/** Whether a value is an object with properties, whose types remain to be checked. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
