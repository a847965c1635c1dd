/** What the Worker is bound to, besides its settings. */

import type { Calls } from "../runtime/calls.ts";
import { SettingError } from "../runtime/limits.ts";

export interface Env {
  CHANNEL: DurableObjectNamespace<Callable>;
}

/** What objects may call each other for; the class in `channel.ts` is that. */
export interface Callable extends Rpc.DurableObjectBranded {
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop: number,
  ): Calls[Kind]["answer"] | Promise<Calls[Kind]["answer"]>;
}

const REMEDY =
  "its wrangler.toml has to bind CHANNEL to the class 'Channel', under [[durable_objects.bindings]]";

/**
 * Returns what a Worker is bound to.
 * @throws SettingError that names what is missing
 */
export function readBindings(env: object): Env {
  if (!("CHANNEL" in env)) throw new SettingError(`the binding CHANNEL is missing; ${REMEDY}`);
  if (isBound(env)) return env;
  throw new SettingError(`the binding CHANNEL isn't a Durable Object namespace; ${REMEDY}`);
}

function isBound(env: object): env is Env {
  return "CHANNEL" in env && isNamespace(env.CHANNEL);
}

/** A binding to another Worker seems to have methods of every name, but has `fetch` as well. */
function isNamespace(binding: unknown): boolean {
  const isObject = (typeof binding === "object" || typeof binding === "function") && binding !== null;
  return isObject && "getByName" in binding && !("fetch" in binding);
}
