/** How often properties are tried, and how a failure is made to happen again. */

/** `RUNS=20` has each property tried so many times as often. */
export const TIMES = Number(process.env.RUNS ?? 1);

/** `SEED=… REPLAY=…` has one failure happen again: the seed and the path that it printed. */
export const replay = process.env.REPLAY && {
  seed: Number(process.env.SEED),
  path: process.env.REPLAY,
  endOnFailure: true,
};
