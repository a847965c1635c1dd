/** Storage made of a map, which copies values as real storage does. */
import type { Store } from "../../src/runtime/runtime.ts";
import { copy } from "./copy.ts";

/**
 * @param accepts says before each change whether storage accepts it
 * @param released called when all storage, including the alarm, has been released
 */
export function storeOf(
  rows: Map<string, unknown>,
  takes: () => boolean = () => true,
  released: () => void = () => {},
): Store {
  let hasChanged = false;
  let hasTaken = false;
  const change = (act: () => void) => {
    const isAccepted = takes();
    if (isAccepted) act();
    hasChanged ||= isAccepted;
    hasTaken ||= isAccepted;
    return isAccepted;
  };
  return {
    get: (key) => copy(rows.get(key)),
    put: (key, value) => change(() => rows.set(key, copy(value))),
    delete: (key) => change(() => rows.delete(key)),
    list: (prefix): [string, unknown][] =>
      [...rows].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key, copy(value)]),
    hasTaken: () => hasTaken,
    sync: () => Promise.resolve(),
    release: () => {
      if (!hasChanged || rows.size > 0) return;
      hasChanged = false;
      released();
    },
  };
}
