/** Switches mutants on and off in the process of the tests, and notes which of them the code reaches. */
import { NONE } from "./plan.ts";

/** How much more a test may do with a mutant than without: beyond, it is in an endless loop. */
const PATIENCE = 20;
const MIN_CALLS = 100_000;

let active = NONE;
let calls = 0;
let limit = Number.POSITIVE_INFINITY;
let reached = new Set<number>();

/** Activates a mutant for a test that makes so many calls without it; without a number, notes what the test reaches. */
export function activate(mutant: number, usualCalls = Number.POSITIVE_INFINITY): void {
  active = mutant;
  calls = 0;
  limit = Math.max(MIN_CALLS, PATIENCE * usualCalls);
  reached = new Set();
}

/** Returns what happened since `activate`. */
export const observed = () => ({ calls, reached, isEndless: calls > limit });

/** Whether a mutant is active. Instrumented code calls this, in loops with the number of none. */
function isActive(mutant: number): boolean {
  if (++calls > limit) throw new Error("endless loop");
  if (limit === Number.POSITIVE_INFINITY && mutant >= 0) reached.add(mutant);
  return mutant === active;
}

Object.defineProperty(globalThis, "$mutant", { value: isActive, configurable: true });
