/** The server's code, as one module for the runtime. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Returns the code that the package has beside this one. In a clone, bundles the sources. */
export function workerSource(): string {
  const built = join(import.meta.dirname, "server.js");
  if (existsSync(built)) return readFileSync(built, "utf8");
  const bundler = join(import.meta.dirname, "..", "..", "tools", "build-server.ts");
  return execFileSync(process.execPath, [bundler], { encoding: "utf8", maxBuffer: 2 ** 26 });
}
