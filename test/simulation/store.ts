/** Storage made of a map, whose values are copied as real storage does. */
import type { Store } from "../../src/links/world.ts";

/** @param changed called after each change */
export function storeOf(rows: Map<string, unknown>, changed = () => {}): Store {
  return {
    get: (key) => structuredClone(rows.get(key)),
    put: (key, value) => {
      rows.set(key, structuredClone(value));
      changed();
      return true;
    },
    delete: (key) => {
      rows.delete(key);
      changed();
      return true;
    },
    list: (prefix): [string, unknown][] =>
      [...rows]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key, structuredClone(value)]),
    sync: () => Promise.resolve(),
    release: () => {},
  };
}
