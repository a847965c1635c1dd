/** Makes one page of src/console/, and of that the module by which the Worker serves it. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = join(ROOT, "src", "console");

/** Where it is kept: with it, a Worker is bundled from sources alone. */
export const CONSOLE_MODULE = join(ROOT, "src", "worker", "console-built.ts");

/** The module's text, which is the same each time for the same sources. */
export function consoleModule(): string {
  const [script, style] = [bundled("main.ts"), bundled("console.css")];
  const page = readFileSync(join(SOURCES, "index.html"), "utf8")
    .replace(/^ +/gm, "")
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);
  return `/** The console page: \`npm run build:console\` makes this of src/console/. */
export const PAGE = ${JSON.stringify(page)};
export const SCRIPT = "${hashOf(script)}";
export const STYLE = "${hashOf(style)}";
`;
}

function bundled(name: string): string {
  const entryPoints = [join(SOURCES, name)];
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false } as const;
  const [file] = buildSync({ ...options, absWorkingDir: ROOT, entryPoints }).outputFiles;
  if (!file) throw new Error(`esbuild has made nothing of ${name}`);
  return file.text.trim();
}

/** As a Content-Security-Policy names what may run. */
function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

if (import.meta.main) writeFileSync(CONSOLE_MODULE, consoleModule());
