/** A violated guarantee. */
export class Violation extends Error {}

/** @throws Violation unless the condition holds */
export function check(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Violation(what());
}
