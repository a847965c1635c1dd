/**
 * Writes the server as one executable file for this kind of machine, which needs neither Node.js nor packages. Takes
 * the file's path, by default `fanout` in the current folder.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CONFIGURATION, configurationFor, WORKER } from "../src/serve/configuration.ts";
import { findRuntime } from "../src/serve/runtime.ts";
import { SECRETS, SETTINGS } from "../src/serve/settings.ts";
import { serverSource } from "./build-server.ts";

/** Where the executable listens unless its arguments say otherwise: only programs on the same machine can connect. */
const ADDRESS = "127.0.0.1:8787";

/** @throws Error if the file can't be written */
function build(runtime: string, target: string): void {
  // In the target's folder, because a file is only replaced at once on its own disk.
  const folder = mkdtempSync(join(dirname(target), ".fanout-"));
  try {
    writeFileSync(join(folder, WORKER), serverSource());
    writeFileSync(join(folder, CONFIGURATION), configurationFor([...SETTINGS, ...SECRETS], ADDRESS));
    const file = join(folder, "executable");
    compile(runtime, folder, file);
    chmodSync(file, 0o755);
    renameSync(file, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compile(runtime: string, folder: string, file: string): void {
  const output = openSync(file, "wx");
  try {
    const { status, error } = spawnSync(runtime, ["compile", CONFIGURATION], {
      cwd: folder,
      stdio: ["ignore", output, "inherit"],
    });
    if (error) throw error;
    if (status !== 0) throw new Error("workerd couldn't compile the server");
  } finally {
    closeSync(output);
  }
}

const [path = "fanout", ...others] = process.argv.slice(2);
try {
  if (others.length > 0 || path.startsWith("-")) throw new Error("the only argument is the path of the file to write");
  build(await findRuntime(console.error), resolve(path));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
