/** Bundles the code of a release, which later versions are tested against. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HEADER = "// A released version, written by test/upgrades/save-release.ts. Do not edit.";

/** Returns `release.ts` with everything it imports, as JavaScript without imports. */
export async function bundleRelease(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
    entryPoints: ["test/upgrades/release.ts"],
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2024",
    banner: { js: HEADER },
    write: false,
  });
  const [file] = outputFiles;
  if (!file) throw new Error("esbuild produced no file");
  return file.text;
}
