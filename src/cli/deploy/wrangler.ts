/** Cloudflare's command-line program, which the folder has to have installed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { DONE, Exit, FAILED, INTERRUPTED, LOCAL, messageOf, USAGE } from "../exits.ts";
import { instead } from "../signals.ts";
import { type Variables, valueIn } from "./secrets.ts";

/** The version with which deploying is tested. */
export const TESTED = "4.156.2";

/** The oldest version that knows all of the configuration, such as what to keep out of logs: major and minor. */
const OLDEST = [4, 128] as const;

export interface Wrangler {
  /** The program, to be run by Node. */
  program: string;
  /** The module that exports its functions. */
  module: string;
}

/** What Wrangler reports of a deployment. */
export interface Deployment {
  /** The server's addresses, as Wrangler describes them. */
  targets: string[];
}

/** Finds the packages that a deployment needs, seen from a folder. @throws Exit that says what to install */
export function findPackages(folder: string): Wrangler {
  const seen = createRequire(join(folder, "x"));
  const wrangler = packageAt(seen, "wrangler") ?? packageAt(createRequire(import.meta.filename), "wrangler");
  const missing = [
    ...(packageAt(seen, "fanout-edge") === undefined ? ["fanout-edge"] : []),
    ...(wrangler === undefined || isTooOld(wrangler.version) ? [`wrangler@${TESTED}`] : []),
  ];
  if (wrangler !== undefined && missing.length === 0) {
    return { program: join(wrangler.folder, "bin", "wrangler.js"), module: wrangler.module };
  }
  const what = missing.map((name) => name.replace(/@.*/, "")).join(" and ");
  const why = wrangler !== undefined && isTooOld(wrangler.version) ? ` (${wrangler.version} is too old)` : "";
  throw new Exit(USAGE, `this folder needs ${what}${why}: npm install --save-dev ${missing.join(" ")}`);
}

interface Package {
  folder: string;
  module: string;
  version: string;
}

/** Returns a package that a module may import; undefined if it is missing. */
function packageAt(require: NodeJS.Require, name: string): Package | undefined {
  try {
    const file = require.resolve(`${name}/package.json`);
    const version = String(valueIn(JSON.parse(readFileSync(file, "utf8")), "version"));
    const module = name === "wrangler" ? require.resolve(name) : file;
    return { folder: dirname(file), module, version };
  } catch {
    return undefined;
  }
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** Reads a configuration with Wrangler's own parser. @throws Exit if it isn't valid */
export async function readConfiguration({ module }: Wrangler, file: string): Promise<unknown> {
  const wrangler: unknown = await import(pathToFileURL(module).href);
  const parse = valueIn(wrangler, "experimental_readRawConfig");
  if (typeof parse !== "function")
    throw new Exit(USAGE, `this Wrangler can't read ${file}: npm install --save-dev wrangler@${TESTED}`);
  try {
    return valueIn(parse({ config: file }), "rawConfig");
  } catch (error) {
    throw new Exit(USAGE, `${file} isn't valid: ${messageOf(error)}`);
  }
}

/**
 * Returns the names of the secrets of an account's Worker; undefined if there is no such Worker, or if Wrangler can't
 * tell, for example because nobody has logged in.
 */
export async function secretsOfWorker(
  { program }: Wrangler,
  name: string,
  env: Variables,
): Promise<string[] | undefined> {
  const command = [program, "secret", "list", "--name", name, "--env=", "--format", "json"];
  // Wrangler would otherwise ask questions at the terminal.
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "ignore"], env: { ...env, CI: "true" } });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (code !== DONE) return undefined;
  return namesIn(out);
}

/** Returns the names in Wrangler's list, above which it may print remarks. */
function namesIn(out: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(/^\[.*\]/ms.exec(out)?.[0] ?? "");
    return Array.isArray(list) ? list.map((secret) => String(valueIn(secret, "name"))) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs `wrangler deploy` at this terminal.
 * @param env its environment
 * @returns the deployment; undefined if nothing was deployed, as in a dry run
 * @throws Exit if it fails or is interrupted
 */
export async function runDeploy(
  { program }: Wrangler,
  options: string[],
  env: Variables,
): Promise<Deployment | undefined> {
  const folder = temporary();
  const report = join(folder, "report");
  try {
    const command = [program, "deploy", ...options];
    const child = spawn(process.execPath, command, {
      stdio: "inherit",
      env: { ...env, WRANGLER_OUTPUT_FILE_PATH: report },
    });
    let interrupted: number | undefined;
    instead((signal) => {
      interrupted = INTERRUPTED[signal];
      child.kill(signal);
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    const deployment = deploymentIn(report);
    if (deployment !== undefined && code === DONE) return deployment;
    if (interrupted !== undefined) throw new Exit(interrupted, "interrupted; the server may or may not be deployed");
    if (code === DONE) return undefined;
    throw new Exit(FAILED, `Wrangler ended with exit code ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function temporary(): string {
  try {
    return mkdtempSync(join(tmpdir(), "fanout-deploy-"));
  } catch (error) {
    throw new Exit(LOCAL, `no temporary folder can be made: ${messageOf(error)}`);
  }
}

/** Returns the deployment of which Wrangler's report has a line. */
function deploymentIn(report: string): Deployment | undefined {
  for (const line of linesOf(report)) {
    const entry: unknown = JSON.parse(line);
    if (valueIn(entry, "type") !== "deploy" || typeof valueIn(entry, "version_id") !== "string") continue;
    const targets = valueIn(entry, "targets");
    return { targets: Array.isArray(targets) ? targets.map(String) : [] };
  }
  return undefined;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    // Wrangler ended before it wrote anything.
    return [];
  }
}
