/** The configuration of an object, from its Worker's settings and bindings. */
import type { Guard } from "../auth/verify.ts";
import type { Limits, SettingError } from "../runtime/limits.ts";
import { deploymentFault } from "../worker/deployment.ts";
import { type Env, readBindings } from "../worker/env.ts";
import { readSettings } from "../worker/settings.ts";
import { guardOf } from "../worker/verification.ts";

export interface Configuration {
  limits: Limits;
  /** Undefined on a server without tokens. */
  guard: Guard | undefined;
  bindings: Env;
}

/** Reads an object's configuration; returns the error if it can't be used. */
export async function configure(env: object, storage: DurableObjectStorage): Promise<Configuration | SettingError> {
  try {
    const { limits, tokens } = readSettings({ ...env });
    const bindings = readBindings(env);
    // Throws if the class has no SQLite storage.
    storage.kv.get("");
    return { limits, guard: tokens && (await guardOf(tokens)), bindings };
  } catch (error) {
    const fault = deploymentFault(error);
    if (fault) return fault;
    throw error;
  }
}
