/**
 * Changes the code in thousands of small ways, one at a time, and runs the tests that reach the changed code: each change
 * must make one of them fail, or `explained.ts` must say why none can.
 *
 * `npm run test:mutants -- src/tree` only changes code below `src/tree`. `SAMPLE=400` chooses that many changes by a
 * `SEED`; `STAGES=12` leaves out the third stage of `areas.ts`.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AREAS, STAGES } from "./areas.ts";
import { mutationsOf } from "./mutations.ts";
import { FOLDER, type Mutant } from "./plan.ts";
import { checkExplanations, report } from "./report.ts";
import { runStage, type Verdicts } from "./stage.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Returns all mutants of the code below these paths. */
function mutantsBelow(paths: string[]): Mutant[] {
  const mutants: Mutant[] = [];
  for (const [area, folders] of Object.entries(AREAS)) {
    for (const file of folders.flatMap((folder) => globSync(`src/${folder}/**/*.ts`, { cwd: ROOT }).sort())) {
      const code = readFileSync(join(ROOT, file), "utf8");
      for (const mutation of mutationsOf(file, code).mutations) {
        const line = code.slice(0, mutation.start).split("\n").length;
        mutants.push({ ...mutation, id: mutants.length, area, file, line });
      }
    }
  }
  return mutants.filter(({ file }) => paths.length === 0 || paths.some((path) => file.startsWith(path)));
}

/** Returns `size` of the items, chosen by a seed, in their order. */
function sample<T>(items: readonly T[], size: number, seed: number): T[] {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  let left = Math.min(size, items.length);
  return items.filter((_, i) => {
    const isChosen = random() < left / (items.length - i);
    if (isChosen) left--;
    return isChosen;
  });
}

const seed = Number(process.env.SEED ?? 1);
const all = mutantsBelow(process.argv.slice(2));
const chosen = sample(all, Number(process.env.SAMPLE ?? all.length), seed);
console.log(`${chosen.length} of ${all.length} mutants, SEED=${seed}`);

const folder = mkdtempSync(join(tmpdir(), "mutants-"));
process.env[FOLDER] = folder;
try {
  const verdicts: Verdicts = new Map();
  for (const stage of STAGES.filter((_, i) => (process.env.STAGES ?? "123").includes(`${i + 1}`))) {
    const living = chosen.filter(({ id }) => !verdicts.has(id));
    if (living.length > 0) await runStage(stage, living, seed, verdicts);
  }
  const isCurrent = process.argv.length > 2 || checkExplanations(all);
  process.exitCode = report(chosen, verdicts) && isCurrent ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
