/** Something that must never happen. */
export class Breach extends Error {}

/** Throws a breach unless something holds. */
export function hold(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Breach(what());
}
