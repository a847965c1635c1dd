/** A violated guarantee, found by a client or by a check. */
export class Violation extends Error {}

/** @throws Violation unless the condition holds */
export function check(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Violation(what());
}
