/** Finds all mutants of the code, and chooses some. */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AREAS } from "./areas.ts";
import { mutationsOf } from "./mutations.ts";
import type { Mutant } from "./plan.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Returns all mutants of all areas. */
export function allMutants(): Mutant[] {
  const mutants: Mutant[] = [];
  for (const area of AREAS) {
    for (const file of globSync(`src/${area}/**/*.ts`, { cwd: ROOT }).sort()) {
      const code = readFileSync(join(ROOT, file), "utf8");
      for (const mutation of mutationsOf(file, code).mutations) {
        const line = code.slice(0, mutation.start).split("\n").length;
        mutants.push({ ...mutation, id: mutants.length, area, file, line });
      }
    }
  }
  return mutants;
}

/** Returns what identifies a mutant for people, whatever its line: several may have the same name. */
export const nameOf = ({ file, original, mutated }: Mutant) => `${file}: ${original} → ${mutated}`;

/** Chooses up to `size` mutants of each area, by a seed. Changes of the code hardly change the choice. */
export function sample(mutants: readonly Mutant[], size: number, seed: number): Mutant[] {
  const seen = new Map<string, number>();
  const ranked = mutants.map((mutant) => {
    const name = nameOf(mutant);
    const nth = (seen.get(name) ?? 0) + 1;
    seen.set(name, nth);
    return { mutant, rank: createHash("sha256").update(`${seed} ${nth} ${name}`).digest("hex") };
  });
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const chosen = AREAS.flatMap((area) => ranked.filter(({ mutant }) => mutant.area === area).slice(0, size));
  return chosen.map(({ mutant }) => mutant).sort((a, b) => a.id - b.id);
}
