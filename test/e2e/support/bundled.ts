/** Bundles the Worker once, before all tests that serve it. */
import type { TestProject } from "vitest/node";
import { bundle, removeFolder, temporaryFolder } from "./runtime.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Path of the bundled Worker. */
    worker: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await temporaryFolder();
  project.provide("worker", await bundle(folder));
  return () => removeFolder(folder);
}
