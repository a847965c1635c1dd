/** Statistics of the service. */
import type { Client } from "./client.ts";

/** Returns the numbers in the reply to `info`. */
export async function figures(asker: Client): Promise<Record<string, number>> {
  const entries = Object.entries(await asker.info()).filter(([, value]) => /^\d+$/.test(value));
  return Object.fromEntries(entries.map(([key, value]) => [key, Number(value)]));
}
