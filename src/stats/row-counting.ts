/** Counts the rows that an object writes the way the platform bills them: each put or deleted row, and each alarm set. */
import type { RawRuntime, Store } from "../runtime/runtime.ts";
import type { Name } from "./tally.ts";

/** Returns a runtime that counts written rows as `rows`, and refused ones as `rows.refused`. */
export function countingRows(raw: RawRuntime, note: (name: Name) => void): RawRuntime {
  const counted = (isTaken: boolean) => {
    note(isTaken ? "rows" : "rows.refused");
    return isTaken;
  };
  const store: Store = {
    ...raw.store,
    put: (key, value) => counted(raw.store.put(key, value)),
    delete: (key) => counted(raw.store.delete(key)),
  };
  return { ...raw, store, alarm: async (time) => counted(await raw.alarm(time)) };
}
