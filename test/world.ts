/** A world in which nothing happens by itself, for tests of one end of a link. */
import type { Peer, Store, World } from "../src/links.ts";

const never = () => new Promise<never>(() => {});

/** Storage made of a map, whose values are copied as real storage does. */
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

/**
 * A world in which timers never fire, except that repeats of failed calls come at once.
 * @param peer what other objects do; what it leaves out never answers
 */
export function stillWorld(
  name: string,
  rows: Map<string, unknown>,
  peer: (object: string) => Partial<Peer> = () => ({}),
): World {
  return {
    name,
    store: storeOf(rows),
    peer: (object) => ({
      link: never,
      unlink: never,
      deliver: never,
      announce: never,
      fill: never,
      claim: never,
      recount: never,
      figures: never,
      serviceFigures: never,
      ...peer(object),
    }),
    now: () => 100,
    turn: () => Promise.resolve(),
    sleep: () => Promise.resolve(),
    after: () => {},
    keep: () => {},
    alarm: () => {},
  };
}
