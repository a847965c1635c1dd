/** `npm run release`: checks that this commit can be released as its version, and prints the steps that remain. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { VERSION } from "../src/version.ts";
import { bundleRelease } from "../test/upgrades/bundle.ts";
import { formatRecording } from "../test/upgrades/recording.ts";
import { record } from "../test/upgrades/scenes.ts";

const ROOT = join(import.meta.dirname, "..");

/** Names a problem with what to do about it, or nothing. */
type Check = () => string | undefined | Promise<string | undefined>;

const CHECKS: Check[] = [versions, changelog, baseline, contents, commit];

/** Returns a file's text; "" if it is missing. */
function textOf(path: string): Promise<string> {
  return readFile(join(ROOT, path), "utf8").catch(() => "");
}

/** Runs a program to its end, and returns its output. @throws Error if it fails */
function run(program: string, ...words: string[]): string {
  return execFileSync(program, words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

async function versions(): Promise<string | undefined> {
  for (const path of ["package.json", "package-lock.json"]) {
    const { version } = JSON.parse(await textOf(path));
    if (version !== VERSION) return `${path} has version ${version}, src/version.ts ${VERSION}: make them equal`;
  }
  const tag = `v${VERSION}`;
  const { GITHUB_REF_TYPE: kind, GITHUB_REF_NAME: pushed } = process.env;
  if (kind === "tag" && pushed !== tag)
    return `the tag ${pushed} isn't of version ${VERSION}: delete it, and push ${tag}`;
  const isHere = run("git", "tag", "--points-at", "HEAD").split("\n").includes(tag);
  if (!isHere && run("git", "tag", "--list", tag) !== "")
    return `the tag ${tag} is another commit's: raise the version`;
  return undefined;
}

async function changelog(): Promise<string | undefined> {
  const sections = (await textOf("CHANGELOG.md")).split(/^## /m).slice(1);
  const contentOf = (start: string) => sections.find((section) => section.startsWith(start))?.split("\n");
  const [title = "", ...lines] = contentOf(`[${VERSION}]`) ?? [];
  if (!/ - \d{4}-\d\d-\d\d$/.test(title))
    return `CHANGELOG.md has no section '## [${VERSION}] - <date>': rename '[Unreleased]'`;
  if (!lines.some((line) => line.startsWith("- "))) return `CHANGELOG.md lists no changes in ${VERSION}`;
  const [, ...unreleased] = contentOf("[Unreleased]") ?? [];
  if (unreleased.some((line) => line !== ""))
    return "CHANGELOG.md has changes under '[Unreleased]': move them into the version";
  return undefined;
}

/** Later versions are tested against the saved code, state and calls of this one. */
async function baseline(): Promise<string | undefined> {
  const isSaved =
    (await textOf("test/upgrades/before.js")) === (await bundleRelease()) &&
    (await textOf("test/upgrades/before.json")) === formatRecording(await record());
  return isSaved ? undefined : "the upgrade baseline isn't of this code: run npx node test/upgrades/save-release.ts";
}

/** Checks that the package contains each file that its package.json names. */
async function contents(): Promise<string | undefined> {
  const [packed] = JSON.parse(run("npm", "pack", "--dry-run", "--json", "--ignore-scripts"));
  const names = new Set<string>(packed.files.map(({ path }: { path: string }) => path));
  const { exports, bin } = JSON.parse(await textOf("package.json"));
  const named = JSON.stringify({ exports, bin }).matchAll(/"(?:\.\/)?([\w/.-]+\.(?:c?js|d\.c?ts|json))"(?!:)/g);
  const missing = [...named].flatMap(([, name = ""]) => (names.has(name) ? [] : [name]));
  return missing.length > 0 ? `the package lacks ${missing.join(", ")}` : undefined;
}

function commit(): string | undefined {
  const changed = run("git", "status", "--porcelain");
  return changed === "" ? undefined : `these files aren't committed:\n${changed.trimEnd()}`;
}

run("npm", "run", "--silent", "build");
let isReady = true;
for (const check of CHECKS) {
  const problem = await check();
  if (problem === undefined) continue;
  isReady = false;
  console.error(`✗ ${problem}`);
}
process.exitCode = isReady ? 0 : 1;
if (isReady) {
  console.log(`${VERSION} is ready. Once .ci/run passes:
  git tag v${VERSION} && git push origin v${VERSION}    # .github/workflows/release.yml publishes the package
  npm run deploy`);
}
