/** Packs the package once, before all tests that install it. */
import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { removeFolder, temporaryFolder } from "../e2e/support/runtime.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Path of the packed package. */
    tarball: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await temporaryFolder();
  const root = fileURLToPath(new URL("../..", import.meta.url));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [name = ""] = await readdir(folder);
  project.provide("tarball", join(folder, name));
  return () => removeFolder(folder);
}
