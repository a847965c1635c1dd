/**
 * Failures of the past, which every run replays first. A failing property prints the entry to add here; with its choices
 * and profile, it survives changes of how both are drawn. Settings that are left out are those of `CALM`.
 */
import type { Profile } from "../profile.ts";
import type { Failure } from "../runs.ts";

export const FAILURES: Failure<Partial<Profile>>[] = [
  {
    // A client that unsubscribed while storage rejected rows never learned to where its messages had moved.
    title: "with full storage, messages keep flowing, and none is lost silently",
    choices: [
      0, 0, 0, 0, 1493321697, 0, 0, 0, 1223918315, 214, 902677538, 0, 0, 0, 0, 586, 751689936, 0, 0, 0, 0, 650852168, 0,
      0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1196240227, 0, 0, 0, 27, 0, 0, 0, 0, 0, 1801679009, 2, 0, 0, 0, 0, 1333744981, 822,
      0, 0, 1025691991, 0, 53, 32, 8, 6, 0, 0, 470819271, 0, 0, 0, 0, 47, 35, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1727285224, 10,
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1580234941, 0, 0, 0, 0, 0,
    ],
    scenario: {
      withFullStorage: true,
      withHistory: true,
      withLittleHistory: true,
      isStrict: true,
      passesTime: true,
      endsInSilence: true,
    },
  },
];
