/** Makes one file of what a later version is tested against. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HEADER = "// A released version, written by test/upgrades/keep.ts. Not to be changed by hand.";

/** Today's `heart.ts` with all that it imports, as JavaScript that imports nothing. */
export async function bundleHeart(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
    entryPoints: ["test/upgrades/heart.ts"],
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2024",
    banner: { js: HEADER },
    write: false,
  });
  const [file] = outputFiles;
  if (!file) throw new Error("nothing was bundled");
  return file.text;
}
