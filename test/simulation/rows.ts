/** What objects keep in their storage, as far as a simulation looks at it. */

/** Whether a row is that of a link asked for; with `left` it has ended, and its parent could not be told. */
export function isUpstream(row: unknown): row is { parent: string; epoch: number; left?: number } {
  return typeof row === "object" && row !== null && "parent" in row && "epoch" in row;
}

/** Whether a row is that of a link with this epoch. */
export function isOfEpoch(row: unknown, epoch: unknown): boolean {
  return typeof row === "object" && row !== null && "epoch" in row && row.epoch === epoch;
}

/** Kinds of rows; `test/upgrades/scenes.ts` has to record each. */
export const ROW_KINDS = ["upstream", "downstream", "order", "counted", "service", "told", "held", "history"];

/** The kind of a row, by its key. */
export function kindOfRow(key: string): string {
  const [kind = ""] = key.split(":");
  return kind;
}
