/** Fanout as a part of another Worker, below a path, beside what else that serves. */
import type { Env } from "./worker/env.ts";
import { handle } from "./worker/routes.ts";

export { Channel } from "./durable-object/channel.ts";
export { Fanout } from "./worker/entrypoint.ts";
export type { Env };

/** What a Worker has to be bound to, in the types of any version of `wrangler types`; its variables are settings. */
interface Bindings {
  CHANNEL: { getByName(name: string): unknown };
}

/** Valid prefixes: the empty one, for the whole Worker, and paths without a slash at their end. */
const PREFIX = /^(?:\/[^/?#]+)*$/;

/**
 * Answers requests below a path. Pages of other origins than the request's own may only connect if `ALLOWED_ORIGINS`
 * names theirs, because the Worker around this server may admit visitors by cookies.
 * @param prefix like "/live": then "/live/news" is the channel `news`
 * @returns undefined for all other requests
 * @throws Error if no request could be below `prefix`
 */
export function mount(prefix: string, request: Request, env: Bindings): Promise<Response> | undefined {
  if (!PREFIX.test(prefix))
    throw new Error(`a prefix is like '/live', without a slash at its end, not '${prefix}'`);
  // A client may send any `Host`.
  if (!URL.canParse(request.url)) return undefined;
  const { pathname } = new URL(request.url);
  const isBelow = pathname === prefix || pathname.startsWith(`${prefix}/`);
  return isBelow ? handle(request, env, { path: pathname.slice(prefix.length) || "/" }) : undefined;
}
