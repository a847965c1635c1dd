/** What it takes to have something written. */
import { type Facts, numberIn } from "../facts.ts";
import type { Self } from "./self.ts";

/**
 * Waits for what is written, again and again; answers with `elapsed`, the milliseconds that all took, by
 * this object's clock.
 * @param ask `times`: how often; `put`: whether something is written each time
 */
export async function syncs({ context: { storage } }: Self, ask: Facts): Promise<Facts> {
  const times = numberIn(ask, "times");
  const began = Date.now();
  for (let time = 0; time < times; time++) {
    if (ask.put === true) storage.kv.put("time", time);
    await storage.sync();
  }
  return { elapsed: Date.now() - began };
}
