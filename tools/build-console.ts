/** Bundles `src/console/` into one page, and writes the module by which the Worker serves it. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = join(ROOT, "src", "console");

const TARGET = join(ROOT, "src", "worker", "console-built.ts");

/** Returns the source of the module, which depends on nothing but `src/console/` and what that imports. */
function consoleModule(): string {
  const [script, style] = [bundled("main.ts"), bundled("console.css")];
  const page = readFileSync(join(SOURCES, "index.html"), "utf8")
    .replace(/^ +/gm, "")
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);
  return `// Generated from src/console/ by npm run build:console.
export const PAGE = ${JSON.stringify(page)};
export const SCRIPT = "${hashOf(script)}";
export const STYLE = "${hashOf(style)}";
`;
}

function bundled(name: string): string {
  const entryPoints = [join(SOURCES, name)];
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false } as const;
  const [file] = buildSync({ ...options, absWorkingDir: ROOT, entryPoints }).outputFiles;
  if (!file) throw new Error(`esbuild returned no output for ${name}`);
  return file.text.trim();
}

/** Returns the hash by which a Content-Security-Policy allows an inline script or style. */
function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** Writes the module, unless it is up to date: a running `wrangler dev` restarts whenever the file changes. */
export function writeConsoleModule(): void {
  const text = consoleModule();
  if (!existsSync(TARGET) || readFileSync(TARGET, "utf8") !== text) writeFileSync(TARGET, text);
}

if (import.meta.main) writeConsoleModule();
