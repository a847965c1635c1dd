/** Waiting for commits: the platform holds back what an object sends until what it has written is durable. */
import type { Runtime } from "../runtime/runtime.ts";

/** The longest that anything waits for a commit, in milliseconds, as storage may never answer. */
const LONGEST_COMMIT = 10_000;

/**
 * Resolves when clients have had time to take what was held back for them: when what this object has written is
 * durable, and as long again after that, as they could read nothing meanwhile.
 * @param isOver ends the second wait early
 * @returns whether it's durable; else that takes very long, or failed
 */
export async function whenTaken(
  { store, within, sleep, now }: Pick<Runtime, "store" | "within" | "sleep" | "now">,
  isOver: () => boolean,
): Promise<boolean> {
  const began = now();
  let isDurable = false;
  const commit = store.sync().then(() => {
    isDurable = true;
  });
  await within(LONGEST_COMMIT, commit).catch(() => {});
  const patience = now() - began;
  for (let waited = 0, wait = 1; waited < patience && !isOver(); waited += wait, wait *= 2) await sleep(wait);
  return isDurable;
}
