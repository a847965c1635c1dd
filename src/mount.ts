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

/** Valid prefixes besides the whole Worker's: paths without a trailing slash. */
const PREFIX = /^(?:\/[^/?#]+)+$/;

/**
 * Answers requests below a path. Pages of other origins may connect only if `ALLOWED_ORIGINS` names them, because the
 * surrounding Worker may authenticate visitors by cookies.
 * @param prefix such as "/live", with which "/live/news" is the channel `news`; "/" or "" for all requests
 * @returns undefined for all other requests
 * @throws Error if an argument isn't valid
 */
export function mount(prefix: "/" | "", request: Request, env: Bindings): Promise<Response>;
export function mount(prefix: string, request: Request, env: Bindings): Promise<Response> | undefined;
export function mount(prefix: string, request: Request, env: Bindings): Promise<Response> | undefined {
  checkTypes(prefix, request, env);
  if (prefix === "/" || prefix === "") return handle(request, env, pathOf(request));
  if (!PREFIX.test(prefix))
    throw new Error(`'${prefix}' isn't a prefix; use a path such as '/live', without a trailing slash`);
  const path = pathOf(request);
  const isBelow = path === prefix || path.startsWith(`${prefix}/`);
  return isBelow ? handle(request, env, path.slice(prefix.length) || "/") : undefined;
}

/** @throws TypeError if an argument has the wrong type, because callers may be plain JavaScript */
function checkTypes(prefix: unknown, request: unknown, env: unknown): void {
  if (typeof prefix !== "string") throw new TypeError("the prefix isn't text; use a path such as '/live'");
  if (typeof Object(request).url !== "string") throw new TypeError("the request has no address; pass that of `fetch`");
  if (typeof env !== "object" || env === null) throw new TypeError("the bindings aren't an object; pass `env`");
}

/** Returns a request's path; empty if its address isn't valid, because a client may send any `Host`. */
function pathOf({ url }: Request): string {
  return URL.canParse(url) ? new URL(url).pathname : "";
}
