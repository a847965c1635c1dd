/** What the service says of itself, in numbers. */
import type { Client } from "./client.ts";

/** The figures that `info` gives, as numbers. */
export async function figures(asker: Client): Promise<Record<string, number>> {
  const entries = Object.entries(await asker.info()).filter(([, value]) => /^\d+$/.test(value));
  return Object.fromEntries(entries.map(([key, value]) => [key, Number(value)]));
}
