/** Counts the rows that an object writes, as the platform does: each that is put or deleted, and each alarm that is set. */
import type { Platform } from "../links/world.ts";

/** The same platform, on which each row is told. */
export function countingRows(platform: Platform, onRow: () => void): Platform {
  const { store, alarm } = platform;
  return {
    ...platform,
    store: {
      ...store,
      put: (key, value) => {
        onRow();
        return store.put(key, value);
      },
      delete: (key) => {
        onRow();
        return store.delete(key);
      },
    },
    alarm: (time) => {
      onRow();
      return alarm(time);
    },
  };
}
