/** Programs of others that some tests need, which a machine may or may not have. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Where a program is; undefined where there is none, which a test has to say.
 * @param install how to get it
 * @throws Error where all tests have to run
 */
export function find(program: string, install: string): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // It is not in this one.
    }
  }
  const lack = `there is no ${program} here; to get it: ${install}`;
  if (process.env.CI) throw new Error(lack);
  console.warn(`not tested: ${lack}`);
  return undefined;
}
