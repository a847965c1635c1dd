/** Faults of a deployment that only calls to objects reveal. All of them are permanent. */

import { EVERYONE } from "../protocol/channels.ts";
import { SettingError } from "../runtime/limits.ts";
import type { Env } from "./env.ts";

/** Prefix of the error with which an object whose settings are wrong answers calls. */
export const WRONG_SETTINGS = "the settings of the channel's object are wrong: ";

/** The fault of a binding to objects of another class. */
export const OTHER_CLASS =
  "the binding CHANNEL leads to another class; its wrangler.toml has to bind CHANNEL to the class 'Channel' of this server";

const NO_SQLITE =
  "the class 'Channel' has no SQLite storage; its wrangler.toml has to list it under [[migrations]], in new_sqlite_classes";

/** The runtime's errors for objects of another class. */
const NOT_THIS_SERVER = /does not implement the method|does not support RPC|does not export a fetch\(\)/;

/** Returns the fault of the deployment that made a call fail; undefined if the call failed for another reason. */
export function deploymentFault(error: unknown): SettingError | undefined {
  if (error instanceof SettingError) return error;
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  if (message.startsWith(WRONG_SETTINGS)) return new SettingError(message.slice(WRONG_SETTINGS.length));
  if (message.includes("new_sqlite_classes")) return new SettingError(NO_SQLITE);
  return NOT_THIS_SERVER.test(message) ? new SettingError(OTHER_CLASS) : undefined;
}

/** Namespaces that have been checked. */
const checked = new WeakSet<object>();

/** Timeout of the check, in milliseconds: an overloaded object reveals nothing about the deployment. */
const CHECK_TIMEOUT = 2_000;

/**
 * Checks that the Worker can call objects, by one call per isolate.
 * @throws SettingError if the deployment prevents calls
 */
export async function checkObjects(env: Env, call: (object: string) => Promise<unknown>): Promise<void> {
  if (checked.has(env.CHANNEL)) return;
  const late = new Promise((resolve) => setTimeout(resolve, CHECK_TIMEOUT));
  await Promise.race([call(EVERYONE), late]).catch((error: unknown) => {
    const fault = deploymentFault(error);
    if (fault) throw fault;
  });
  checked.add(env.CHANNEL);
}
