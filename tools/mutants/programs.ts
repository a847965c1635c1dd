/** Puts the mutants into the code of programs that tests start. `node --import` loads this module in each of them. */
import { appendFileSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ACTIVE, FOLDER, instrumentedFile, NONE, reachedFile, readPlan } from "./plan.ts";

const ROOT = join(import.meta.dirname, "../..");

/** More than any program does in a test. */
const MAX_CALLS = 100_000_000;

if (process.env[FOLDER] && process.env[ACTIVE] !== undefined) {
  const active = Number(process.env[ACTIVE]);
  const reached = new Set<number>();
  let calls = 0;
  const isActive = (mutant: number) => {
    if (++calls > MAX_CALLS) throw new Error("endless loop");
    // At once, because tests kill programs.
    if (active === NONE && mutant >= 0 && reached.size < reached.add(mutant).size)
      appendFileSync(reachedFile(), `${mutant}\n`);
    return mutant === active;
  };
  Object.defineProperty(globalThis, "$mutant", { value: isActive });
  const files = new Set(readPlan().mutants.map(({ file }) => file));
  registerHooks({
    load(url, context, nextLoad) {
      const file = url.startsWith("file:") ? relative(ROOT, fileURLToPath(url)) : "";
      if (!files.has(file)) return nextLoad(url, context);
      return { format: "module-typescript", source: readFileSync(instrumentedFile(file)), shortCircuit: true };
    },
  });
}
