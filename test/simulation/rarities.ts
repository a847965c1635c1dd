/** Events that only a long simulation meets; the suite fails if its runs meet one of them no more. */
export const RARITIES = [
  "a link cut off",
  "newer",
  "instead",
  "not linked any more",
  "gone while unsure",
  "a loss relayed",
  "a claim refused",
  "a mixed flush",
  "a token renewed",
  "a token expired",
  "a token outdated",
  "an upgrade refused",
  "a call made anew",
  "a deep call",
  "a row not taken",
  "nothing let in",
  "a position told again",
  "new positions",
  "announced before",
  "a call timed out",
  "an outage of an hour",
  "storage given back",
  "an attachment of 15,000 bytes",
  "a gap",
] as const;

export type Rarity = (typeof RARITIES)[number];
