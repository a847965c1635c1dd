/** `fanout ping` and `fanout info`. */
import { DONE } from "../exits.ts";
import { print } from "../output.ts";
import { type ServerOptions, serverAt } from "../server.ts";
import { jsonOf } from "../visible.ts";

/** @returns the exit code */
export async function ping(url: string, { count, ...options }: ServerOptions & { count: number }): Promise<number> {
  const { fanout, inTime } = serverAt(url, options);
  // The first one connects.
  await inTime(fanout.ping());
  for (let i = 0; i < count; i++) await print(`${(await inTime(fanout.ping())).toFixed(1)} ms`);
  await fanout.close();
  return DONE;
}

/** @returns the exit code */
export async function info(url: string, { json, ...options }: ServerOptions & { json?: boolean }): Promise<number> {
  const { fanout, inTime } = serverAt(url, options);
  const figures = await inTime(fanout.info());
  if (json) await print(jsonOf(Object.fromEntries(figures)));
  else for (const [key, value] of figures) await print(`${key}: ${value}`);
  await fanout.close();
  return DONE;
}
