/**
 * Installs the locked packages of a folder, this project's unless named, if its `node_modules` is missing, incomplete or
 * older than its lock file. With `--serving`, leaves out those of `tools/development/`, unless they are installed
 * already. Plain JavaScript, because it runs before anything is installed, in whichever Node the machine has.
 */
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const names = process.argv.slice(2);
const named = names.find((name) => !name.startsWith("--"));
const folder = join(fileURLToPath(new URL("..", import.meta.url)), named ?? ".");

/**
 * Returns when a file was last written, in milliseconds; 0 if it is missing.
 * @param {string} path
 */
function writtenAt(path) {
  return statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {string[]} words */
function npm(...words) {
  execFileSync("npm", [...words, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}

// npm writes its hidden lock file at the end of each install, and links the packages of workspaces.
const isCurrent = writtenAt("node_modules/.package-lock.json") >= writtenAt("package-lock.json");
const isComplete = named !== undefined || existsSync(join(folder, "node_modules", "fanout-development"));
const servesOnly = names.includes("--serving") && !isComplete;

if (isCurrent && !isComplete && !servesOnly) {
  console.error("Installing the packages that development needs. This takes about half a minute, once.");
  // Unlike `npm ci`, this leaves the installed packages in place, which a running server may be using.
  npm("install", "--no-save");
} else if (!isCurrent && servesOnly) {
  console.error("Installing what the server needs: wrangler, workerd and Node, 420 MB. This takes about 20 seconds, once.");
  npm("ci", "--workspaces=false");
} else if (!isCurrent) {
  if (named === undefined) console.error("Installing all packages, 650 MB. This takes about half a minute.");
  npm("ci");
}
