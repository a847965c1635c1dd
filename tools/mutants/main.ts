/**
 * Changes the code in small ways, one at a time, and runs the tests that reach the changed code: each change must make
 * one of them fail, or `explained.ts` must say why none can.
 *
 * `npm run test:mutants -- src/tree` changes only code below `src/tree`. Without `SAMPLE=all`, 60 changes of each area
 * are chosen by `SEED`. `STAGES=1` only runs the first stage of `areas.ts`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STAGES } from "./areas.ts";
import { FOLDER } from "./plan.ts";
import { checkExplanations, report } from "./report.ts";
import { allMutants, sample } from "./sample.ts";
import { runStage, type Verdicts } from "./stage.ts";

const { SEED = "1", SAMPLE = "60", STAGES: stages = "123" } = process.env;
const paths = process.argv.slice(2);
const seed = Number(SEED);

const all = allMutants();
const isBelow = (file: string) => paths.some((path) => `${file}/`.startsWith(path.replace(/\/?$/, "/")));
const wanted = all.filter(({ file }) => paths.length === 0 || isBelow(file));
const chosen = SAMPLE === "all" ? wanted : sample(wanted, Number(SAMPLE), seed);
console.log(`${chosen.length} of ${wanted.length} mutants: SEED=${seed} SAMPLE=${SAMPLE} STAGES=${stages}`);

const folder = mkdtempSync(join(tmpdir(), "mutants-"));
process.env[FOLDER] = folder;
try {
  const verdicts: Verdicts = new Map();
  for (const stage of STAGES.filter((_, i) => stages.includes(`${i + 1}`))) {
    const living = chosen.filter(({ id }) => !verdicts.has(id));
    if (living.length > 0) await runStage(stage, living, seed, verdicts);
  }
  const isCurrent = checkExplanations(all);
  process.exitCode = report(chosen, verdicts) && isCurrent ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
