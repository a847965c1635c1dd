/**
 * Writes `dist/`, the published code: the client and the React hook as ES modules and as CommonJS, each with types; the
 * server and the CLI as ES modules, the server for tests as both; and the client for pages without a bundler.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, buildSync } from "esbuild";
import { rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import { writeAssets } from "./build-assets.ts";
import { serverSource } from "./build-server.ts";

const ROOT = join(import.meta.dirname, "..");
const SRC = join(ROOT, "src");
const DIST = join(ROOT, "dist");

/** The sources of the package's exports, relative to `src/`. */
const CLIENT = { client: "client/fanout.ts", react: "react/hooks.ts" };
const SERVER = { worker: "mount.ts" };
const TESTING = { testing: "testing/serve.ts" };

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
    // Frameworks that render on servers look for this directive, which must come first.
    const banner = name === "react" ? { js: '"use client";' } : {};
    const module = { entryPoints: { [name]: source }, banner, sourcemap: true } as const;
    // Splitting puts dynamic imports into separate files.
    bundle({ ...module, format: "esm", splitting: true, chunkNames: "[name]" });
    bundle({ ...module, format: "cjs", outExtension: { ".js": ".cjs" } });
  }
  const server = { platform: "node", format: "esm" } as const;
  bundle({ ...server, entryPoints: { ...SERVER, ...TESTING, cli: "cli/main.ts" } });
  // CommonJS has other names for where a module is.
  const define = { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" };
  bundle({ ...server, entryPoints: TESTING, format: "cjs", outExtension: { ".js": ".cjs" }, define });
}

/** Writes a folder for each module, where bundlers that ignore `exports` look for it: Parcel, webpack 4, Browserify. */
function writeFolders(): void {
  for (const name of Object.keys(CLIENT)) {
    const files = { main: `../dist/${name}.cjs`, module: `../dist/${name}.js`, types: `../dist/${name}.d.ts` };
    mkdirSync(join(ROOT, name), { recursive: true });
    writeFileSync(join(ROOT, name, "package.json"), `${JSON.stringify({ ...files, sideEffects: false })}\n`);
  }
}

/** Bundles the client for pages: as a module, and as a script that defines `fanoutEdge` and works in local files, too. */
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

const TSC = join(ROOT, "node_modules", ".bin", "tsc");

/**
 * Bundles types. Modules of each format need their own, because an import names the other file's ending.
 * @param project relative to `src/`
 */
async function writeTypes(input: Record<string, string>, project: string, ending: "ts" | "cts"): Promise<void> {
  // This TypeScript has no API yet, so the plugin runs its compiler.
  const plugins = [dts({ emitDtsOnly: true, tsconfig: join(SRC, project), tsgo: { path: TSC } })];
  const types = await rolldown({
    cwd: SRC,
    checks: { pluginTimings: false },
    input,
    external: /^(react|cloudflare:workers)$/,
    plugins,
  });
  const names = { entryFileNames: `[name].${ending}`, chunkFileNames: `types.d.${ending}` };
  await types.write({ dir: DIST, ...names });
  await types.close();
}

/** Declares `Symbol.asyncDispose` for programs whose `lib` is older. Bundling types removes such lines from sources. */
function declareDisposable(name: string): void {
  const path = join(DIST, name);
  writeFileSync(path, `/// <reference lib="esnext.disposable" />\n${readFileSync(path, "utf8")}`);
}

rmSync(DIST, { recursive: true, force: true });
writeAssets();
writeModules();
writeFolders();
writePageScripts();
writeFileSync(join(DIST, "server.js"), serverSource());
for (const ending of ["ts", "cts"] as const) {
  await writeTypes(CLIENT, "tsconfig.browser.json", ending);
  await writeTypes(TESTING, "../tsconfig.node.json", ending);
  declareDisposable(`testing.d.${ending}`);
}
await writeTypes(SERVER, "tsconfig.worker.json", "ts");
