/** The runtime holds back an object's output until its writes are durable. */
import type { Runtime } from "../runtime/runtime.ts";

/** The longest wait for a commit, in milliseconds, because storage may never answer. */
const MAX_COMMIT = 10_000;

/**
 * Resolves when clients have had time to read output that a commit held back: when the object's writes are durable, and
 * then as long again.
 * @param isOver ends the second wait early
 * @returns whether the writes are durable; false if the commit takes very long or fails
 */
export async function whenReadable(
  { store, within, sleep, now }: Pick<Runtime, "store" | "within" | "sleep" | "now">,
  isOver: () => boolean,
): Promise<boolean> {
  const began = now();
  let isDurable = false;
  const commit = store.sync().then(() => {
    isDurable = true;
  });
  await within(MAX_COMMIT, commit).catch(() => {});
  await sleepUntil({ sleep }, now() - began, isOver);
  return isDurable;
}

/** Resolves after `milliseconds` or so, or earlier when `isOver`. */
export async function sleepUntil({ sleep }: Pick<Runtime, "sleep">, milliseconds: number, isOver: () => boolean) {
  for (let waited = 0, wait = 1; waited < milliseconds && !isOver(); waited += wait, wait *= 2) await sleep(wait);
}
