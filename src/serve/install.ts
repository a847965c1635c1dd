/** Installs the runtime for this user, when a server starts for the first time. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { reasonOf } from "./fault.ts";

/** Returns the folder in which a version of the runtime is, or will be, installed for this user. */
export function cachedRuntime(version: string): string {
  return join(cacheFolder(), `workerd-${version}`);
}

function cacheFolder(): string {
  const own = process.env.XDG_CACHE_HOME;
  if (own?.startsWith("/")) return join(own, "fanout");
  return join(homedir(), process.platform === "darwin" ? "Library/Caches" : ".cache", "fanout");
}

/**
 * Installs a version of the runtime with npm, which checks its integrity. Programs may do so at the same time.
 * @returns its folder
 * @throws Error with the reason
 */
export async function installRuntime(version: string): Promise<string> {
  const target = cachedRuntime(version);
  const folder = newFolder();
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    writeFileSync(join(folder, "package.json"), "{}\n");
    await install(folder, `workerd@${version}`);
    if (!existsSync(target)) renameSync(folder, target);
  } catch (error) {
    // Another program may just have installed it.
    if (!existsSync(target)) throw new Error(reasonOf(error));
  } finally {
    process.off("exit", remove);
    remove();
  }
  return target;
}

function newFolder(): string {
  try {
    mkdirSync(cacheFolder(), { recursive: true });
    return mkdtempSync(join(cacheFolder(), "installing-"));
  } catch (error) {
    throw new Error(reasonOf(error));
  }
}

/** Variables would override the options if this program was itself started by npm with options. */
const OPTIONS = ["--prefix=.", "--no-global", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

function install(folder: string, name: string): Promise<void> {
  const npm = spawn("npm", ["install", ...OPTIONS, name], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const kill = () => void npm.kill();
  process.once("exit", kill);
  return outcome(npm).finally(() => process.off("exit", kill));
}

/** @throws Error with npm's first line about the reason */
async function outcome(npm: ChildProcess): Promise<void> {
  let errors = "";
  npm.stderr?.on("data", (chunk: unknown) => {
    errors += String(chunk);
  });
  const code = await new Promise((resolve, reject) => {
    npm.once("error", () => reject(new Error("npm is missing")));
    npm.once("close", resolve);
  });
  if (code === 0) return;
  const reasons = errors
    .split("\n")
    .flatMap((line) => /^npm (?:error|ERR!) (?!code |errno )(.*\S.*)$/.exec(line)?.[1] ?? []);
  throw new Error(reasons[0] ?? `npm ended with exit code ${code}`);
}
