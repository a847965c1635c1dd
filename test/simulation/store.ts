/** Storage made of a map, whose values are copied as real storage does. */
import type { Store } from "../../src/links/world.ts";

export function storeOf(rows: Map<string, unknown>): Store {
  return {
    get: (key) => structuredClone(rows.get(key)),
    put: (key, value) => void rows.set(key, structuredClone(value)),
    delete: (key) => void rows.delete(key),
    list: (prefix): [string, unknown][] =>
      [...rows]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key, structuredClone(value)]),
    sync: () => Promise.resolve(),
    release: () => {},
  };
}
