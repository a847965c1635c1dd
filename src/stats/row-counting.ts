/** Counts the rows that an object writes, as the platform does: each that is put or deleted, and each alarm that is set. */
import type { RawRuntime } from "../runtime/runtime.ts";

/**
 * The same platform, on which each row is told.
 * @param onRow told of each row, and whether storage has taken it
 */
export function countingRows(platform: RawRuntime, onRow: (isTaken: boolean) => void): RawRuntime {
  const { store, alarm } = platform;
  const tell = (isTaken: boolean) => {
    onRow(isTaken);
    return isTaken;
  };
  return {
    ...platform,
    store: {
      ...store,
      put: (key, value) => tell(store.put(key, value)),
      delete: (key) => tell(store.delete(key)),
    },
    alarm: async (time) => tell(await alarm(time)),
  };
}
