/** Checks the types of values read from storage. */
import { assert } from "../assert.ts";

type Check<T> = (value: unknown) => value is T;

/** The type of the values that pass a check. */
export type Checked<Is> = Is extends Check<infer T> ? T : never;

/**
 * Returns a stored row; undefined if there is none.
 * @param is checks its type
 * @throws Error if the row has another type
 */
export function rowOf<Row>(value: unknown, is: Check<Row>): Row | undefined {
  assert(value === undefined || is(value), "stored rows have the type that was written");
  return value;
}

export function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

export function isString(value: unknown): value is string {
  return typeof value === "string";
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

/** Whether a value is an object with properties, whose types remain to be checked. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export function optional<T>(is: Check<T>): Check<T | undefined> {
  return (value) => value === undefined || is(value);
}

export function listOf<T>(is: Check<T>): Check<T[]> {
  return (value) => Array.isArray(value) && value.every(is);
}

/** Checks each property of a record; it may have others. */
export function shape<Checks extends Record<string, Check<unknown>>>(checks: Checks) {
  return (value: unknown): value is { [Key in keyof Checks]: Checked<Checks[Key]> } =>
    isRecord(value) && Object.entries(checks).every(([key, is]) => is(value[key]));
}
