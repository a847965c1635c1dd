/** Rare cases that the runs have to reach. */
import { EventsJudge } from "./events-judge.ts";
import type { Reader } from "./reader.ts";
import type { Simulation } from "./simulation.ts";

export const CASES = [
  "resumed complete",
  "resumed gap",
  "refused at first, live later",
  "refused for good",
  "broken off",
  "denied",
  "ended with a reason",
  "without history",
  "a poll answered",
  "a poll denied",
] as const;

export type Case = (typeof CASES)[number];

/** Returns the cases that a run has reached. */
export function casesIn({ readers, pollers }: Simulation): Set<Case> {
  const seen = new Set<Case>();
  for (const reader of readers) {
    for (const rareCase of CASES) if (isSeen(rareCase, reader)) seen.add(rareCase);
  }
  for (const { over } of pollers) {
    if (over === "answered") seen.add("a poll answered");
    if (over === "denied") seen.add("a poll denied");
  }
  return seen;
}

function isSeen(rareCase: Case, { over, judge, object }: Reader): boolean {
  if (rareCase === over) return true;
  if (!(judge instanceof EventsJudge) || object.hasSentInvalid) return false;
  const { postponed, live, refused, last, reason, resumed } = judge;
  const isLater = postponed.size > 0 && [...postponed].every((channel) => live.has(channel));
  return (
    rareCase === `resumed ${resumed}` ||
    (rareCase === "refused at first, live later" && isLater) ||
    (rareCase === "refused for good" && refused.size > 0) ||
    (rareCase === "ended with a reason" && over === "ended" && reason !== undefined) ||
    (rareCase === "without history" && last.size > 0)
  );
}
