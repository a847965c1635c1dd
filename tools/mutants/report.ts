/** Prints how many mutants the tests killed, and which survived. */
import { AREAS } from "./areas.ts";
import { EXPLAINED } from "./explained.ts";
import type { Mutant } from "./plan.ts";
import { nameOf } from "./sample.ts";
import type { Verdicts } from "./stage.ts";

/** The least share of all mutants that tests kill. */
const LEAST = 0.9;

const explained = new Set(
  EXPLAINED.flatMap(({ mutants }) =>
    Object.entries(mutants).flatMap(([file, changes]) => changes.map((change) => `${file}: ${change}`)),
  ),
);

/**
 * Prints the figures of each area, and the survivors without explanation.
 * @returns whether tests killed enough, and all survivors are explained
 */
export function report(mutants: Mutant[], verdicts: Verdicts): boolean {
  const survivors = mutants.filter(({ id }) => !verdicts.has(id));
  const unexplained = survivors.filter((mutant) => !explained.has(nameOf(mutant)));
  for (const mutant of unexplained) {
    const { file, line, original, mutated } = mutant;
    console.log(`${file}:${line}: ${original} → ${mutated}`);
  }
  const rows = AREAS.map((name) => {
    const inArea = (some: Mutant[]) => some.filter(({ area }) => area === name).length;
    const timedOut = inArea(mutants.filter(({ id }) => verdicts.get(id) === "timed out"));
    const killed = inArea(mutants) - inArea(survivors) - timedOut;
    return {
      area: name,
      mutants: inArea(mutants),
      killed,
      "timed out": timedOut,
      explained: inArea(survivors) - inArea(unexplained),
      unexplained: inArea(unexplained),
      share: (killed + timedOut) / inArea(mutants),
    };
  });
  const some = rows.filter((row) => row.mutants > 0);
  console.table(some.map((row) => ({ ...row, share: `${(100 * row.share).toFixed(1)} %` })));
  const share = 1 - survivors.length / mutants.length;
  console.log(`${(100 * share).toFixed(1)} % killed, ${unexplained.length} survivors without explanation`);
  return unexplained.length === 0 && share >= LEAST;
}

/** Prints the explanations that explain none of all mutants. @returns whether there are none */
export function checkExplanations(all: Mutant[]): boolean {
  const names = new Set(all.map(nameOf));
  const stale = [...explained].filter((name) => !names.has(name));
  for (const name of stale) console.log(`explained, but no mutant: ${name}`);
  return stale.length === 0;
}
