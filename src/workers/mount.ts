/** Fanout as a part of another Worker, below a path, beside what else that serves. */
import type { Env } from "./env.ts";
import { handle } from "./handler.ts";

export { Channel } from "./channel.ts";
export { Fanout } from "./entrypoint.ts";
export type { Env };

/**
 * Answers requests below a path.
 * @param prefix like "/live": then "/live/news" is the channel `news`
 * @returns undefined for all other requests
 */
export function mount(prefix: string, request: Request, env: Env): Promise<Response> | undefined {
  const { pathname } = new URL(request.url);
  const isBelow = pathname === prefix || pathname.startsWith(`${prefix}/`);
  return isBelow ? handle(request, env, pathname.slice(prefix.length) || "/") : undefined;
}
