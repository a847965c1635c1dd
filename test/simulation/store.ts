/** Storage made of a map, whose values are copied as real storage does. */
import type { Store } from "../../src/links/world.ts";

export function storeOf(rows: Map<string, unknown>): Store {
  return {
    // biome-ignore lint/suspicious/noExplicitAny: storage gives back what was put there
    get: (key): any => structuredClone(rows.get(key)),
    put: (key, value) => void rows.set(key, structuredClone(value)),
    delete: (key) => void rows.delete(key),
    // biome-ignore lint/suspicious/noExplicitAny: storage gives back what was put there
    list: (prefix): [string, any][] =>
      [...rows]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key, structuredClone(value)]),
    sync: () => Promise.resolve(),
    release: () => {},
  };
}
