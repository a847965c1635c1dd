/**
 * Deploys the Worker with `wrangler.toml` and, if the folder has them, your own `deploy.toml` and the secrets of
 * `deploy.env`. Git ignores both files, so that upgrades don't touch them. Passes on the options of `wrangler deploy`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSecrets, SECRETS_FILE, summaryOf, type Variables, withoutNames } from "../src/cli/deploy/secrets.ts";

/** The folder of the project, as npm runs its scripts there. */
const FOLDER = process.cwd();
const WRANGLER = join(import.meta.dirname, "..", "node_modules", "wrangler", "bin", "wrangler.js");

const [BASE, OWN, MERGED] = ["wrangler.toml", "deploy.toml", "wrangler.deploy.json"];

/** Adds settings to others: tables are merged, lists joined, and other values replaced. */
export function merged(base: unknown, own: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(own)) return [...base, ...own];
  if (!isTable(base) || !isTable(own)) return own;
  const both = { ...base, ...own };
  for (const name in both) if (name in base && name in own) both[name] = merged(base[name], own[name]);
  return both;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function read(name: string): Promise<unknown> {
  const { experimental_readRawConfig: readConfiguration } = await import("wrangler");
  return readConfiguration({ config: join(FOLDER, name) }).rawConfig;
}

/** Returns the file of the configuration: the project's, or one that adds the folder's own to it. */
async function configurationFile(): Promise<string> {
  if (!existsSync(join(FOLDER, OWN))) {
    console.error(`There is no ${OWN}, so the server gets the name and settings of ${BASE}: docs/deploying.md`);
    return BASE;
  }
  // In the same folder, since paths in it are relative.
  writeFileSync(join(FOLDER, MERGED), `${JSON.stringify(merged(await read(BASE), await read(OWN)), null, 2)}\n`);
  return MERGED;
}

/** Runs `wrangler deploy`; returns its exit code. */
function runWrangler(options: string[], secrets: Variables): number {
  const child = { cwd: FOLDER, stdio: "inherit", env: withoutNames(process.env, secrets) } as const;
  return spawnSync(process.execPath, [WRANGLER, "deploy", ...options], child).status ?? 1;
}

if (import.meta.main) {
  const passedOn = process.argv.slice(2);
  const file = await configurationFile();
  const secrets = readSecrets(FOLDER);
  const secretsFile = secrets === undefined ? [] : ["--secrets-file", SECRETS_FILE];
  process.exitCode = runWrangler(["--config", file, ...secretsFile, ...passedOn], secrets ?? {});
  if (passedOn.includes("--dry-run") && process.exitCode === 0) {
    for (const line of summaryOf(await read(file), secrets ?? {})) console.log(line);
  }
}
