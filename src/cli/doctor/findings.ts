/** The checks of `fanout doctor`, and their findings. */
import type { Capability, Target } from "./target.ts";

export interface Finding {
  grade: "ok" | "note" | "bad";
  /** The finding, without the name of the check. */
  text: string;
}

export interface Check {
  name: string;
  /** A capability that earlier checks must have found. */
  needs?: Capability;
  /** Whether a bad finding ends the examination. */
  isVital?: boolean;
  /** What to do if the check throws, which is a bad finding with the error's message. */
  remedy: string;
  /** @returns undefined if the check doesn't apply */
  run(target: Target): Promise<Finding | undefined>;
}

export function check(name: string, about: Omit<Check, "name" | "run">, run: Check["run"]): Check {
  return { name, ...about, run };
}

export function ok(text: string): Finding {
  return { grade: "ok", text };
}

export function note(text: string): Finding {
  return { grade: "note", text };
}

export function bad(text: string): Finding {
  return { grade: "bad", text };
}

export function formatFinding(name: string, { grade, text }: Finding): string {
  return `${grade.padEnd(4)} ${name}: ${text}`;
}

/** @throws Error that quotes the received and the expected lines, if they differ */
export function expectLines(seen: string[], expected: string[]): void {
  if (seen.length === expected.length && seen.every((line, i) => line === expected[i])) return;
  throw new Error(`the server answers ${quote(seen)} instead of ${quote(expected)}`);
}

function quote(lines: string[]): string {
  return lines.length === 0 ? "nothing" : lines.map((line) => `'${line}'`).join(", ");
}
