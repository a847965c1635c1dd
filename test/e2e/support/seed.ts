/** The seed of a test's random decisions: the variable `SEED`, or a new one. Tests that use it print it. */
export const SEED = seedIn(process.env.SEED);

/** @throws Error unless the text, if any, is a whole number below 2^31 */
function seedIn(text: string | undefined): number {
  if (text === undefined) return Math.floor(Math.random() * 2 ** 31);
  const seed = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (seed < 2 ** 31) return seed;
  throw new Error(`SEED must be a whole number below ${2 ** 31}, not '${text}'`);
}
