/** Installs the runtime for this user, when a server starts for the first time. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { isAbsolute, join } from "node:path";
import { reasonOf } from "./fault.ts";

/** The beginning of the names of folders in which installations run. */
const UNFINISHED = "installing-";

/** Age after which an installation was killed, in milliseconds. */
const STALE_AGE = 86_400_000;

/** This kind of machine. */
export const MACHINE = `${process.platform} on ${process.arch}`;

/** Returns the folder in which a version of the runtime is, or will be, installed for this user. @throws Error */
export function cachedRuntime(version: string): string {
  return join(cacheFolder(), `workerd-${version}`);
}

function cacheFolder(): string {
  const own = process.env.XDG_CACHE_HOME;
  if (own?.startsWith("/")) return join(own, "fanout");
  const home = isAbsolute(homedir()) ? homedir() : userInfo().homedir;
  return join(home, process.platform === "darwin" ? "Library/Caches" : ".cache", "fanout");
}

/**
 * Installs a version of the runtime with npm, which checks its integrity. Programs may do so at the same time.
 * @param isUsable whether a folder has the runtime and its program; a folder in its place that hasn't is replaced
 * @returns its folder
 * @throws Error with the reason
 */
export async function installRuntime(version: string, isUsable: (folder: string) => boolean): Promise<string> {
  const target = cachedRuntime(version);
  removeStale();
  const folder = newFolder();
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    writeFileSync(join(folder, "package.json"), "{}\n");
    await install(folder, `workerd@${version}`);
    // To npm, its program is optional: without room for it, npm succeeds.
    if (!isUsable(folder)) throw new Error(`npm got no program for ${MACHINE}, or the disk is full`);
    if (!isUsable(target)) replace(target, folder);
  } catch (error) {
    // Another program may just have installed it.
    if (!isUsable(target)) throw new Error(reasonOf(error));
  } finally {
    process.off("exit", remove);
    remove();
  }
  return target;
}

/** Moves a folder to the place of one that lacks files, if there is one. */
function replace(target: string, folder: string): void {
  if (existsSync(target)) renameSync(target, join(folder, "replaced"));
  renameSync(folder, target);
  rmSync(join(target, "replaced"), { recursive: true, force: true });
}

/** Removes what installations left that were killed: nothing else would. */
function removeStale(): void {
  try {
    for (const name of readdirSync(cacheFolder())) {
      const folder = join(cacheFolder(), name);
      if (!name.startsWith(UNFINISHED) || Date.now() - statSync(folder).mtimeMs < STALE_AGE) continue;
      rmSync(folder, { recursive: true, force: true });
    }
  } catch {
    // There is no cache, or another program has just removed the same folder.
  }
}

function newFolder(): string {
  try {
    mkdirSync(cacheFolder(), { recursive: true });
    return mkdtempSync(join(cacheFolder(), UNFINISHED));
  } catch (error) {
    throw new Error(reasonOf(error));
  }
}

/** Variables would override the options if this program was itself started by npm with options. */
const OPTIONS = [
  "--prefix=.",
  "--no-global",
  "--location=project",
  "--include=optional",
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--loglevel=error",
];

/** Returns the environment without the choice of a workspace, which npm sets for the programs of one. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_config_(include_)?workspace/i.test(name)),
  );
}

function install(folder: string, name: string): Promise<void> {
  const npm = spawn("npm", ["install", ...OPTIONS, name], {
    cwd: folder,
    env: environment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  // Before the folder is removed, so that npm doesn't write to it again.
  const kill = () => void npm.kill("SIGKILL");
  process.prependOnceListener("exit", kill);
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
