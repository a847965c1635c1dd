/** Writes what is published into dist/: a module for each way in, and the types of its sources. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";

const ROOT = import.meta.dirname;
const DIST = join(ROOT, "dist");

const shared = { bundle: true, packages: "external", format: "esm", target: "es2022", outdir: DIST } as const;

/** A page without a bundler loads the client as it is. */
function writeModules(): void {
  const client = { client: "src/client/fanout.ts", react: "src/react/use-channel.ts" };
  buildSync({ ...shared, absWorkingDir: ROOT, entryPoints: client, minify: true });
  const server = { worker: "src/workers/mount.ts", cli: "src/cli/main.ts" };
  buildSync({ ...shared, absWorkingDir: ROOT, entryPoints: server, platform: "node" });
}

/** Types of a source, and of all that they need, for readers that look for `.js` in what is imported. */
function writeTypes(declared: string, source: string, written = new Set<string>()): void {
  const path = source.replace(/\.ts$/, ".d.ts");
  if (written.has(path)) return;
  written.add(path);
  const text = readFileSync(join(declared, path), "utf8");
  const target = join(DIST, "types", path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text.replace(/(from "\.[^"]*|import\("\.[^"]*)\.ts"/g, '$1.js"'));
  for (const [, imported = ""] of text.matchAll(/(?:from |import\()"(\.[^"]*)"/g)) {
    writeTypes(declared, join(dirname(path), imported), written);
  }
}

/** Has the compiler declare all that a project has. */
function declare(project: string, folder: string): void {
  const tsc = join(ROOT, "node_modules", ".bin", "tsc");
  const options = [
    "--noEmit",
    "false",
    "--emitDeclarationOnly",
    "--declaration",
    "--rootDir",
    join(ROOT, "src"),
  ];
  execFileSync(process.execPath, [tsc, "-p", join(ROOT, project), ...options, "--outDir", folder], {
    stdio: "inherit",
  });
}

rmSync(DIST, { recursive: true, force: true });
writeModules();
const declared = mkdtempSync(join(tmpdir(), "fanout-types-"));
for (const project of ["src/tsconfig.client.json", "src/tsconfig.json"]) declare(project, declared);
for (const source of ["client/fanout.ts", "react/use-channel.ts", "workers/mount.ts"])
  writeTypes(declared, source);
rmSync(declared, { recursive: true });
