/** Third-party programs that some tests need and that may not be installed. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Returns a program's path; undefined if it isn't installed, which is also logged.
 * @param install how to install it
 * @throws Error if it isn't installed in CI, where every test has to run
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
  const lack = `${program} isn't installed; to install it: ${install}`;
  if (process.env.CI) throw new Error(lack);
  console.warn(`skipped: ${lack}`);
  return undefined;
}
