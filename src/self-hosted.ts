/** The Worker's entry point in a runtime on the operator's own machine, where no network sets `CF-Connecting-IP`. */
import { Channel as CloudflareChannel } from "./durable-object/channel.ts";
import type { Env } from "./worker/env.ts";
import { handle } from "./worker/routes.ts";

export class Channel extends CloudflareChannel {
  constructor(context: DurableObjectState, env: Env) {
    super(context, withoutUnset(env));
  }
}

export default {
  fetch: (request: Request, env: Env) => handle(withAddress(request), withoutUnset(env)),
} satisfies ExportedHandler<Env>;

/** Removes variables that aren't set: the runtime sets those that it can't find in its environment to null. */
function withoutUnset(env: Env): Env {
  const { CHANNEL, ...variables } = env;
  return { CHANNEL, ...Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== null)) };
}

const ADDRESS = "CF-Connecting-IP";

/** Addresses of clients on this machine, such as a reverse proxy. */
const LOCAL = /^(127\.|::1$|::ffff:127\.)/;

/** Names the client's address. Only programs on this machine may name another one, as a reverse proxy does. */
function withAddress(request: Request): Request {
  const address = peerOf(request);
  if (address === undefined || LOCAL.test(address)) return request;
  const headers = new Headers(request.headers);
  headers.set(ADDRESS, address);
  return new Request(request, { headers, signal: request.signal });
}

/** Returns the address at the other end of the connection, without its port. */
function peerOf({ cf }: Request): string | undefined {
  if (!cf || !("clientIp" in cf) || typeof cf.clientIp !== "string") return undefined;
  return /^\[?(.+?)\]?:\d+$/.exec(cf.clientIp)?.[1];
}
