/** Bundles the Worker for `fanout serve`, which runs it without Wrangler. Run as a program, prints the bundle. */
import { join } from "node:path";
import { buildSync } from "esbuild";
import { writeAssets } from "./build-assets.ts";

const ROOT = join(import.meta.dirname, "..");

/** Returns the source of the Worker as one module. */
export function serverSource(): string {
  writeAssets();
  const [file] = buildSync({
    absWorkingDir: ROOT,
    entryPoints: [join(ROOT, "src", "self-hosted.ts")],
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    write: false,
  }).outputFiles;
  if (!file) throw new Error("esbuild returned no output for the Worker");
  return file.text;
}

if (import.meta.main) process.stdout.write(serverSource());
