/**
 * Installs the locked packages of a folder, this project's unless named, if its `node_modules` is missing or older than
 * its lock file. Plain JavaScript, because it runs before anything is installed, in whichever Node the machine has.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The least version of Node, as in `engines` of package.json. */
const LEAST = 20;

if (Number.parseInt(process.versions.node, 10) < LEAST) {
  console.error(
    `Fanout needs Node.js ${LEAST} or newer, but this is ${process.versions.node}. Install a newer one from https://nodejs.org.`,
  );
  process.exit(1);
}

const folder = join(fileURLToPath(new URL("..", import.meta.url)), process.argv[2] ?? ".");

/**
 * Returns when a file was last written, in milliseconds; 0 if it is missing.
 * @param {string} path
 */
function writtenAt(path) {
  return statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

// npm writes its hidden lock file at the end of each install.
if (writtenAt("node_modules/.package-lock.json") < writtenAt("package-lock.json")) {
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}
