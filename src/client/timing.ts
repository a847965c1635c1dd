/** Time limits of what a program asks for. */
import type { RequestOptions } from "./types.ts";
import type { Cancel, World } from "./world.ts";

/**
 * Gives something up when its time is over or its signal aborted.
 * @param giveUp gets the reason of the signal, or what `late` returns
 * @returns what has to be called when it is done
 */
export function limitTime(
  world: World,
  { timeout, signal }: RequestOptions,
  late: () => Error,
  giveUp: (reason: unknown) => void,
): Cancel {
  const abort = () => {
    end();
    giveUp(signal?.reason);
  };
  const isLimited = timeout !== undefined && timeout !== Number.POSITIVE_INFINITY;
  const cancel = isLimited
    ? world.later(timeout, () => {
        end();
        giveUp(late());
      })
    : () => {};
  const end = () => {
    cancel();
    signal?.removeEventListener("abort", abort);
  };
  signal?.addEventListener("abort", abort);
  return end;
}
