/** Named values, which the parts of the probe exchange in calls, requests and frames. */

export type Fact = string | number | boolean;

export interface Facts {
  readonly [name: string]: Fact;
}

/**
 * Parses facts from JSON.
 * @throws Error if the text is anything else
 */
export function readFacts(text: string): Facts {
  const value: unknown = JSON.parse(text);
  if (!isFacts(value)) throw new Error(`not facts: ${text}`);
  return value;
}

/** @throws Error if there is neither a number of that name nor a default */
export function numberIn(facts: Facts, name: string, otherwise?: number): number {
  const value = facts[name] ?? otherwise;
  if (typeof value === "number") return value;
  throw new Error(`no number ${name} in ${JSON.stringify(facts)}`);
}

/** @throws Error if there is neither a string of that name nor a default */
export function textIn(facts: Facts, name: string, otherwise?: string): string {
  const value = facts[name] ?? otherwise;
  if (typeof value === "string") return value;
  throw new Error(`no text ${name} in ${JSON.stringify(facts)}`);
}

function isFacts(value: unknown): value is Facts {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((each) => ["string", "number", "boolean"].includes(typeof each));
}
