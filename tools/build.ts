/**
 * Writes `dist/`, which is what the package publishes: the client and the hook as ES modules and as CommonJS, each with
 * types; the server and the program as ES modules; the client for pages without a bundler.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type BuildOptions, buildSync } from "esbuild";
import { writeConsoleModule } from "./build-console.ts";

const ROOT = join(import.meta.dirname, "..");
const SRC = join(ROOT, "src");
const DIST = join(ROOT, "dist");

/** Sources of what the package exports, below `src/`. */
const CLIENT = { client: "client/fanout.ts", react: "react/use-channel.ts" };
const SERVER = { worker: "mount.ts" };

function bundle(options: BuildOptions): void {
  buildSync({
    absWorkingDir: SRC,
    bundle: true,
    packages: "external",
    target: "es2022",
    outdir: DIST,
    ...options,
  });
}

function writeModules(): void {
  for (const [name, source] of Object.entries(CLIENT)) {
    // Frameworks that render on servers look for the directive, before any other one.
    const banner = name === "react" ? { js: '"use client";' } : {};
    const module = { entryPoints: { [name]: source }, banner, sourcemap: true } as const;
    // Dynamic imports become separate files.
    bundle({ ...module, format: "esm", splitting: true, chunkNames: "[name]" });
    bundle({ ...module, format: "cjs", outExtension: { ".js": ".cjs" } });
  }
  const server = { platform: "node", format: "esm" } as const;
  bundle({ ...server, entryPoints: { ...SERVER, cli: "cli/main.ts" } });
}

/** Pages load one of these: a module, or a script that defines the global `fanoutEdge`, also in pages opened from a file. */
function writePageScripts(): void {
  const page = { minify: true, sourcemap: true } as const;
  bundle({ ...page, entryPoints: { "page/fanout": CLIENT.client }, format: "esm" });
  bundle({
    ...page,
    entryPoints: { "page/fanout.global": CLIENT.client },
    format: "iife",
    globalName: "fanoutEdge",
  });
}

/** The endings of a module and of its types. */
interface Format {
  module: string;
  types: string;
}

const ESM: Format = { module: ".js", types: ".d.ts" };
const CJS: Format = { module: ".cjs", types: ".d.cts" };

/** Writes the types of a source, and of everything that they import, for modules of one format. */
function writeTypes(declared: string, source: string, format: Format, written = new Set<string>()): void {
  if (written.has(source)) return;
  written.add(source);
  const text = readFileSync(join(declared, source.replace(/\.ts$/, ".d.ts")), "utf8");
  const target = join(DIST, "types", source.replace(/\.ts$/, format.types));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text.replace(/(from "\.[^"]*|import\("\.[^"]*)\.ts"/g, `$1${format.module}"`));
  for (const [, imported = ""] of text.matchAll(/(?:from |import\()"(\.[^"]*)"/g)) {
    writeTypes(declared, join(dirname(source), imported), format, written);
  }
}

/** Has the compiler declare everything in a project. */
function declare(project: string, folder: string): void {
  const tsc = join(ROOT, "node_modules", ".bin", "tsc");
  const options = ["--noEmit", "false", "--emitDeclarationOnly", "--declaration", "--rootDir", SRC];
  execFileSync(process.execPath, [tsc, "-p", join(ROOT, project), ...options, "--outDir", folder], {
    stdio: "inherit",
  });
}

writeConsoleModule();
rmSync(DIST, { recursive: true, force: true });
writeModules();
writePageScripts();
const declared = mkdtempSync(join(tmpdir(), "fanout-types-"));
for (const project of ["src/tsconfig.client.json", "src/tsconfig.json"]) declare(project, declared);
for (const source of Object.values(CLIENT)) {
  for (const format of [ESM, CJS]) writeTypes(declared, source, format);
}
writeTypes(declared, SERVER.worker, ESM);
rmSync(declared, { recursive: true });
