/** The options that `fanout deploy` passes on to Wrangler. */
import { Exit, USAGE } from "../exits.ts";

/** Options that this command has itself. */
const SHARED = ["name", "dryrun"];

/** Options that this command sets, or that would deploy something else than this folder's server. */
const FIXED = ["config", "c", "env", "e", "cwd", "secretsfile"];

/** @throws Exit if one of them isn't an option, or contradicts those of this command */
export function checkPassedOn(words: string[]): void {
  const [first] = words;
  if (first !== undefined && !first.startsWith("-")) {
    throw new Exit(USAGE, `'${first}' isn't an option; name the Worker with --name ${first}`);
  }
  for (const word of words) {
    const option = /^--?([\w-]+)/.exec(word)?.[1]?.replaceAll("-", "").toLowerCase();
    if (option === undefined) continue;
    if (SHARED.includes(option)) throw new Exit(USAGE, `give ${word} before the --, since this command has it too`);
    if (FIXED.includes(option)) {
      throw new Exit(USAGE, `${word} can't be passed on; another server needs a folder of its own`);
    }
  }
}
