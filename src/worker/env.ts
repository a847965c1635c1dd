/** The Worker's bindings. */

import type { Calls } from "../runtime/calls.ts";
import { SettingError } from "../runtime/limits.ts";

export interface Env {
  CHANNEL: DurableObjectNamespace<Callable>;
}

/** The RPC interface of objects, which the class in `channel.ts` implements. */
export interface Callable extends Rpc.DurableObjectBranded {
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop: number,
  ): Calls[Kind]["answer"] | Promise<Calls[Kind]["answer"]>;
}

const REMEDY = "its wrangler.toml has to bind CHANNEL to the class 'Channel', under [[durable_objects.bindings]]";

/**
 * Returns the Worker's bindings.
 * @throws SettingError if a binding is missing or wrong
 */
export function readBindings(env: object): Env {
  if (!("CHANNEL" in env)) throw new SettingError(`the binding CHANNEL is missing; ${REMEDY}`);
  if (isBound(env)) return env;
  throw new SettingError(`the binding CHANNEL isn't a Durable Object namespace; ${REMEDY}`);
}

/** Returns the Worker's bindings; undefined if they are missing or wrong. */
export function boundIn(env: object): Env | undefined {
  return "CHANNEL" in env && isBound(env) ? env : undefined;
}

/** Tells a namespace from a service binding, which seems to have methods of every name, but has `fetch` as well. */
function isBound(env: { CHANNEL: unknown }): env is Env {
  const binding = Object(env.CHANNEL);
  return "getByName" in binding && !("fetch" in binding);
}
