/** Rare events that the runs exist for; the suite fails if its runs no longer reach one of them. */
export const COVERAGE_GOALS = [
  "a link cut off",
  "a newer epoch",
  "a redirect to a child",
  "a lapsed link",
  "an unsure link gone",
  "a loss relayed",
  "a claim refused",
  "a mixed flush",
  "a token renewed",
  "a token expired",
  "a token outdated",
  "an upgrade refused",
  "a call retried by alarm",
  "a deep call",
  "a row refused",
  "input blocked",
  "a position confirmed",
  "positions skipped",
  "a duplicate announcement",
  "a call timed out",
  "an outage of an hour",
  "storage released",
  "an attachment of 15,000 bytes",
  "a gap",
] as const;

export type CoverageGoal = (typeof COVERAGE_GOALS)[number];
