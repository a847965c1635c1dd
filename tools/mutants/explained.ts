/** Why no test can kill some mutants, or none should. */

export interface Explanation {
  reason: string;
  /** By file: the code, ` → `, and what it becomes, as the report prints them. */
  mutants: Record<string, string[]>;
}

export const EXPLAINED: Explanation[] = [];
