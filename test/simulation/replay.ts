/** Settings of property tests: number of runs, and replaying a failure. */

/** `RUNS=20` multiplies the number of runs. */
export const TIMES = Number(process.env.RUNS ?? 1);

/** `SEED=… REPLAY=…` replays a failure by the seed and the path that it printed. */
export const replay = process.env.REPLAY && {
  seed: Number(process.env.SEED),
  path: process.env.REPLAY,
  endOnFailure: true,
};
