/** What `fanout doctor` looks at, and what it finds. */
import type { Part, Patient } from "./target.ts";

export interface Finding {
  grade: "ok" | "note" | "bad";
  /** The rest of a sentence about what was looked at. */
  says: string;
}

export interface Check {
  name: string;
  /** What others have to have found out before. */
  needs?: Part;
  /** Whether there is nothing more to look at if this is bad. */
  isVital?: boolean;
  /** What to do if it throws: that is bad, and the error says what was seen. */
  remedy: string;
  /** @returns undefined where there is nothing to say */
  look(patient: Patient): Promise<Finding | undefined>;
}

export function ok(says: string): Finding {
  return { grade: "ok", says };
}

export function note(says: string): Finding {
  return { grade: "note", says };
}

export function bad(says: string): Finding {
  return { grade: "bad", says };
}

export function formatFinding(name: string, { grade, says }: Finding): string {
  return `${grade.padEnd(4)} ${name}: ${says}`;
}

/** @throws Error that says what was seen, and what should have been */
export function expectLines(seen: string[], expected: string[]): void {
  if (seen.length === expected.length && seen.every((line, i) => line === expected[i])) return;
  throw new Error(`it answers ${quote(seen)} instead of ${quote(expected)}`);
}

function quote(lines: string[]): string {
  return lines.length === 0 ? "nothing" : lines.map((line) => `'${line}'`).join(", ");
}
