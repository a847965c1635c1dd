/** Checks which folder of `src/` imports which: `npm run check` runs it. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const SRC = join(import.meta.dirname, "..", "src");

/** What each folder of `src/` may import besides its own files: other folders, files of `src/`, and packages. */
const ALLOWED: Record<string, string> = {
  ".": "assert.ts version.ts worker durable-object",
  "durable-object": "worker object session tree channel stats runtime auth protocol cloudflare:workers",
  worker: "version.ts streams tree stats session runtime auth protocol cloudflare:workers",
  streams: "tree runtime protocol",
  object: "presence session tree channel stats runtime auth protocol",
  presence: "session tree stats runtime protocol",
  session: "tree channel stats runtime auth protocol",
  tree: "channel stats runtime protocol",
  channel: "runtime protocol",
  stats: "runtime protocol",
  runtime: "protocol",
  auth: "protocol jose",
  protocol: "",
  costs: "",
  client: "protocol",
  react: "client react",
  console: "client costs protocol uplot",
  bridge: "client protocol node:*",
  serve: "node:*",
  testing: "serve node:*",
  cli: "bridge serve client protocol version.ts node:* commander jose",
};

/** Returns the first part of a module's path below `src/`, or the specifier of a package. */
function targetOf(file: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier.startsWith("node:") ? "node:*" : specifier;
  const path = normalize(join(dirname(file), specifier));
  return path.split("/")[0] ?? path;
}

const faults: string[] = [];
for (const file of globSync("**/*.{ts,tsx}", { cwd: SRC })) {
  const folder = file.includes("/") ? (file.split("/")[0] ?? "") : ".";
  const allowed = ALLOWED[folder]?.split(" ");
  if (!allowed) faults.push(`src/${folder}/ is not in the table of tools/layers.ts`);
  const text = readFileSync(join(SRC, file), "utf8");
  for (const [, specifier = ""] of text.matchAll(/(?:from |import\(|import )"([^"]+)"/g)) {
    const target = targetOf(file, specifier);
    if (target === folder || target === "assert.ts" || allowed?.includes(target)) continue;
    faults.push(`src/${file} may not import ${specifier}; src/${folder}/ may import ${allowed?.join(", ")}`);
  }
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
