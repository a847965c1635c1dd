/** What is rare, and what the runs are there for. */
import { EventsJudge } from "./events-judge.ts";
import type { Reader } from "./reader.ts";
import type { Simulation } from "./simulation.ts";

export const RARITIES = [
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

export type Rarity = (typeof RARITIES)[number];

/** Notes what has been met. */
export function note({ readers, pollers }: Simulation, met: Set<Rarity>): void {
  for (const reader of readers) {
    for (const rarity of RARITIES) if (isMet(rarity, reader)) met.add(rarity);
  }
  for (const { over } of pollers) {
    if (over === "answered") met.add("a poll answered");
    if (over === "denied") met.add("a poll denied");
  }
}

function isMet(rarity: Rarity, { over, judge, object }: Reader): boolean {
  if (rarity === over) return true;
  if (!(judge instanceof EventsJudge) || object.hasSentInvalid) return false;
  const { postponed, live, refused, last, reason, resumed } = judge;
  const isLater = postponed.size > 0 && [...postponed].every((channel) => live.has(channel));
  return (
    rarity === `resumed ${resumed}` ||
    (rarity === "refused at first, live later" && isLater) ||
    (rarity === "refused for good" && refused.size > 0) ||
    (rarity === "ended with a reason" && over === "ended" && reason !== undefined) ||
    (rarity === "without history" && last.size > 0)
  );
}
