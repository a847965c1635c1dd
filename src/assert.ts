/**
 * Checks an invariant of this program.
 * @param what the invariant, as a sentence for the error message
 * @throws Error if it doesn't hold
 */
export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`assertion failed: ${what}`);
}
