/** Storage made of a map, whose values are copied as real storage does. */
import type { Store } from "../../src/links/world.ts";

/** @param takes asked before each change whether it is taken */
export function storeOf(rows: Map<string, unknown>, takes = () => true): Store {
  return {
    get: (key) => structuredClone(rows.get(key)),
    put: (key, value) => {
      const isTaken = takes();
      if (isTaken) rows.set(key, structuredClone(value));
      return isTaken;
    },
    delete: (key) => {
      const isTaken = takes();
      if (isTaken) rows.delete(key);
      return isTaken;
    },
    list: (prefix): [string, unknown][] =>
      [...rows]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key, structuredClone(value)]),
    sync: () => Promise.resolve(),
    release: () => {},
  };
}
