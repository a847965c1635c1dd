/**
 * Ends what is under way if something does not hold that has to: that is a mistake in this program.
 * @throws Error with `what` was expected to hold
 */
export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`this does not hold: ${what}`);
}
