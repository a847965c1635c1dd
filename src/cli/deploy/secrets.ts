/** The secrets of a deployment, in a file that git ignores and Wrangler uploads together with the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
// Node 20.0, in which other commands work, has no `parseEnv` to import.
import * as util from "node:util";

/** The file of secrets, one `NAME=value` per line. */
export const SECRETS_FILE = "deploy.env";

/** Values by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Returns the secrets of a folder; undefined without the file. @throws the system's error if it can't be read */
export function readSecrets(folder: string): Variables | undefined {
  try {
    return util.parseEnv(readFileSync(join(folder, SECRETS_FILE), "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Returns an environment without the names of secrets: Wrangler prefers the environment's values to those of the file. */
export function withoutNames(environment: Variables, secrets: Variables): Variables {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !(name in secrets)));
}

/** Returns what a dry run of Wrangler leaves out: the Worker's name, and required secrets that the file lacks. */
export function summaryOf(configuration: unknown, secrets: Variables): string[] {
  const missing = requiredIn(configuration).filter((name) => !secrets[name]);
  const has = missing.length === 1 ? "it" : "them";
  return [
    `The Worker's name is '${nameIn(configuration)}'.`,
    missing.length === 0
      ? `${SECRETS_FILE} has all required secrets.`
      : `${SECRETS_FILE} lacks ${missing.join(", ")}; deploying fails, unless the Worker already has ${has}.`,
  ];
}

/** Returns the name of a configuration's Worker; empty if it has none. */
export function nameIn(configuration: unknown): string {
  const name = valueIn(configuration, "name");
  return typeof name === "string" ? name : "";
}

/** Returns the names of the secrets without which Wrangler doesn't deploy. */
export function requiredIn(configuration: unknown): string[] {
  const required = valueIn(valueIn(configuration, "secrets"), "required");
  return Array.isArray(required) ? required.map(String) : [];
}

/** Returns a property of a table; undefined if there is none. */
export function valueIn(table: unknown, name: string): unknown {
  return typeof table === "object" && table !== null
    ? Object.entries(table).find(([key]) => key === name)?.[1]
    : undefined;
}
