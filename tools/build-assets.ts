/** Bundles the console and the client library into modules of `src/worker/`, which serves them to browsers. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import packageJson from "../package.json" with { type: "json" };
import { VERSION } from "../src/version.ts";

const ROOT = join(import.meta.dirname, "..");
const CONSOLE = join(ROOT, "src", "console");
const CLIENT = join(ROOT, "src", "client", "fanout.ts");
const WORKER = join(ROOT, "src", "worker");

/** Returns the source of the module with the console page. */
function consoleModule(): string {
  const [script, style] = [bundled(join(CONSOLE, "main.ts")), bundled(join(CONSOLE, "console.css"))];
  const page = readFileSync(join(CONSOLE, "index.html"), "utf8")
    .replace(/^ +/gm, "")
    .replace(RECIPES, () => linkedTo(recipesAddress(packageJson)))
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);
  return `// Generated from src/console/ by npm run build:assets.
export const PAGE = ${JSON.stringify(page)};
export const SCRIPT = "sha256-${hashOf(script)}";
export const STYLE = "sha256-${hashOf(style)}";
`;
}

/** Returns the source of the module with the client library. */
function clientModule(): string {
  const script = `/* Client library of Fanout ${VERSION}, MIT license */\n${bundled(CLIENT)}\n`;
  return `// Generated from src/client/ by npm run build:assets.
export const CLIENT = ${JSON.stringify(script)};
export const CLIENT_HASH = "${hashOf(script)}";
`;
}

/** Where the page mentions the recipes, relative to the repository. */
const RECIPES = "docs/recipes/README.md";

/** What package.json may say about the project. */
interface PackageJson {
  name?: string;
  repository?: string | { url: string };
  homepage?: string;
}

/** Returns the address of the recipes, or else of the project; undefined if package.json names neither. */
export function recipesAddress({ repository, homepage }: PackageJson): string | undefined {
  const url = typeof repository === "string" ? repository : repository?.url;
  const page = url
    ?.replace(/^(?:github:)?(?=[\w.-]+\/[\w.-]+$)/, "https://github.com/")
    .replace(/^git\+/, "")
    .replace(/\.git$/, "");
  return page?.startsWith("https://") ? `${page}/blob/HEAD/${RECIPES}` : homepage;
}

function linkedTo(address: string | undefined): string {
  const escaped = address?.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return escaped === undefined ? RECIPES : `<a href="${escaped}" rel="noopener" target="_blank">${RECIPES}</a>`;
}

function bundled(entryPoint: string): string {
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false } as const;
  const [file] = buildSync({ ...options, absWorkingDir: ROOT, entryPoints: [entryPoint] }).outputFiles;
  if (!file) throw new Error(`esbuild returned no output for ${entryPoint}`);
  return file.text.trim();
}

/** Returns the hash by which a Content-Security-Policy allows an inline script or style. */
function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

/** Writes a module, unless it is up to date: a running `wrangler dev` restarts whenever the file changes. */
function write(name: string, text: string): void {
  const target = join(WORKER, name);
  if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
}

export function writeAssets(): void {
  write("console-built.ts", consoleModule());
  write("client-built.ts", clientModule());
}

if (import.meta.main) writeAssets();
