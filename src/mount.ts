/** Serves Fanout below a path of another Worker. */
import type { Env } from "./worker/env.ts";
import { handle } from "./worker/routes.ts";

export { Channel } from "./durable-object/channel.ts";
export { Fanout } from "./worker/entrypoint.ts";
export type { Env };

/** The bindings that the Worker needs, typed to accept the `Env` of any version of `wrangler types`. */
interface Bindings {
  CHANNEL: { getByName(name: string): unknown };
}

/** Valid prefixes: "" for the whole Worker, or a path without a trailing slash. */
const PREFIX = /^(?:\/[^/?#]+)*$/;

/**
 * Answers requests below a path. Pages of other origins may connect only if `ALLOWED_ORIGINS` names them, because the
 * surrounding Worker may authenticate visitors by cookies.
 * @param prefix such as "/live", with which "/live/news" is the channel `news`
 * @returns undefined for all other requests
 * @throws Error if the prefix isn't valid
 */
export function mount(prefix: string, request: Request, env: Bindings): Promise<Response> | undefined {
  if (!PREFIX.test(prefix))
    throw new Error(`'${prefix}' isn't a prefix; use a path such as '/live', without a trailing slash`);
  // A client may send any `Host`.
  if (!URL.canParse(request.url)) return undefined;
  const { pathname } = new URL(request.url);
  const isBelow = pathname === prefix || pathname.startsWith(`${prefix}/`);
  return isBelow ? handle(request, env, pathname.slice(prefix.length) || "/") : undefined;
}
