/**
 * Installs the locked packages of a folder, this project's unless named, if its `node_modules` is missing, incomplete or
 * older than its lock file. `--serving` is enough for a server: it leaves out `tools/development/`, and `tools/node/` if
 * the machine's Node is new enough. Plain JavaScript, because it runs before anything is installed, in whichever Node the
 * machine has.
 */
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
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

const words = process.argv.slice(2);
const named = words.find((word) => !word.startsWith("--"));
const folder = join(fileURLToPath(new URL("..", import.meta.url)), named ?? ".");

/**
 * Returns when a file was last written, in milliseconds; 0 if it is missing.
 * @param {string} path
 */
function writtenAt(path) {
  return statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {string[]} command */
function npm(...command) {
  execFileSync("npm", [...command, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}

/** @param {string} text */
function report(text) {
  if (named === undefined) console.error(`${text}, once.`);
}

// npm writes its hidden lock file at the end of each install, and a link to each workspace that it installs.
const isCurrent = writtenAt("node_modules/.package-lock.json") >= writtenAt("package-lock.json");
const isComplete = named !== undefined || existsSync(join(folder, "node_modules", "fanout-development"));

if (words.includes("--serving") && !isComplete) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  // From 24.2 on, Node runs TypeScript and knows `import.meta.main`.
  const isNew = major > 24 || (major === 24 && minor >= 2);
  if (!isCurrent) {
    report(`Installing the server's packages, ${isNew ? "230 MB" : "420 MB"}: about ${isNew ? "15" : "30"} seconds`);
    npm("ci", ...(isNew ? ["--workspaces=false"] : ["--workspace=tools/node", "--include-workspace-root"]));
  }
} else if (!isCurrent) {
  report("Installing all packages, 650 MB: about a minute");
  npm("ci");
} else if (!isComplete) {
  report("Installing the packages for development: about half a minute");
  // Unlike `npm ci`, this leaves installed packages in place, which a running server may be using.
  npm("install", "--no-save");
}
