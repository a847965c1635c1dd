/** Measures writes. */
import { type Facts, numberIn } from "../facts.ts";
import type { Host } from "./host.ts";

/**
 * Waits for storage repeatedly; returns `elapsed`, the milliseconds for all of it by this object's clock.
 * @param ask `times`: how often; `put`: whether to write something each time
 */
export async function syncs({ context: { storage } }: Host, ask: Facts): Promise<Facts> {
  const times = numberIn(ask, "times");
  const began = Date.now();
  for (let time = 0; time < times; time++) {
    if (ask.put === true) storage.kv.put("time", time);
    await storage.sync();
  }
  return { elapsed: Date.now() - began };
}
