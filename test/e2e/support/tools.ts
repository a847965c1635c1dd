/** What some tests need of the machine: third-party programs, a privilege, open files. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Returns a program's path; undefined if it isn't installed, which is also logged.
 * @param install how to install it
 * @throws Error if it isn't installed in CI
 */
export function find(program: string, install: string): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this folder.
    }
  }
  lacks(`${program} isn't installed; to install it: ${install}`);
  return undefined;
}

/** Logs that tests won't run because of what this machine lacks. @throws Error in CI, where every test has to run */
export function lacks(lack: string): void {
  if (process.env.CI) throw new Error(lack);
  console.warn(`skipped: ${lack}`);
}
