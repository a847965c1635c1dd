/** Has all programs that tests start load `programs.ts`. */
import childProcess from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { ACTIVE, FOLDER, reachedFile } from "./plan.ts";

/** The variables that `programs.ts` needs. */
function variables(): Record<string, string | undefined> {
  const { [FOLDER]: folder, [ACTIVE]: active } = process.env;
  return { [FOLDER]: folder, [ACTIVE]: active, NODE_OPTIONS: process.env.NODE_OPTIONS };
}

/** Makes `spawn` pass these variables on, whatever environment a test chooses. */
export function mutatePrograms(): void {
  process.env.NODE_OPTIONS = `--import=${new URL("programs.ts", import.meta.url)}`;
  const spawn = new Proxy(childProcess.spawn, {
    apply(target, self, [command, words, options]) {
      const env = { ...(options?.env ?? process.env), ...variables() };
      return Reflect.apply(target, self, [command, words, { ...options, env }]);
    },
  });
  Object.assign(childProcess, { spawn });
  syncBuiltinESMExports();
}

export function activateInPrograms(mutant: number): void {
  process.env[ACTIVE] = String(mutant);
  rmSync(reachedFile(), { force: true });
}

/** Returns the mutants that programs have reached since `activateInPrograms`. */
export function reachedInPrograms(): Set<number> {
  try {
    return new Set(readFileSync(reachedFile(), "utf8").split("\n").filter(Boolean).map(Number));
  } catch {
    return new Set();
  }
}
