/** Sentences of the operators' section. */

/** Formats a count with its noun. */
export function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count.toLocaleString()} ${noun}s`;
}

/** Formats the server's answer to a revocation. */
export function outcomeOf(sub: string, value: unknown): string {
  const { objects, unreachable }: { objects?: unknown; unreachable?: unknown } = Object(value);
  if (typeof objects !== "number" || typeof unreachable !== "number") return NOT_FANOUT;
  const later = unreachable > 0 ? `; ${counted(unreachable, "object")} unreachable, to follow later` : "";
  return `Revoked ${sub} in ${counted(objects, "object")}${later}.`;
}

export const NOT_FANOUT = "The answer isn't from Fanout.";
