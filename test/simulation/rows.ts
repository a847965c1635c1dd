/** The rows that the simulation reads in the storage of objects. */

/** Whether a row belongs to an upstream link; one with `left` has ended, but its parent couldn't be told. */
export function isUpstream(row: unknown): row is { parent: string; epoch: number; left?: number } {
  return typeof row === "object" && row !== null && "parent" in row && "epoch" in row;
}

/** Whether a row belongs to a link with this epoch. */
export function isOfEpoch(row: unknown, epoch: unknown): boolean {
  return typeof row === "object" && row !== null && "epoch" in row && row.epoch === epoch;
}

/** All kinds of rows; `test/upgrades/scenes.ts` has to record each. */
export const ROW_KINDS = [
  "upstream",
  "downstream",
  "order",
  "counted",
  "service",
  "told",
  "held",
  "history",
  "present",
  "members",
];

/** Returns the kind of a row, from its key. */
export function kindOfRow(key: string): string {
  const [kind = ""] = key.split(":");
  return kind;
}
